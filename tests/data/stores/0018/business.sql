-- The control tables of a business database as this release made them; {id} is the type of a message's id.
create table if not exists tranship_fence (message {id} not null primary key, epoch bigint not null);
create table if not exists tranship_loads (
    message {id} not null, entity_no bigint not null, entity text not null, target text not null, staging text not null,
    fields text not null, policy text not null,
    records bigint not null, line bigint not null, byte bigint not null, staged_rows bigint not null,
    staged boolean not null, stopped text, truncated bigint,
    primary key (message, entity_no));
create table if not exists tranship_chunks (
    message {id} not null, entity_no bigint not null, chunk_no bigint not null,
    first_record bigint not null, last_record bigint not null, done boolean not null,
    staging_errors bigint not null, inserted bigint not null, updated bigint not null, unchanged bigint not null,
    target_errors bigint not null, skipped bigint not null, deleted bigint not null,
    primary key (message, entity_no, chunk_no));
create table if not exists tranship_rejects (
    message {id} not null, entity_no bigint not null, record bigint not null, ordinal bigint not null,
    origin text, by_target boolean not null,
    line bigint not null, byte_start bigint not null, byte_end bigint not null,
    column_no bigint, field text, code text not null, value text, reason text not null,
    primary key (message, entity_no, record, ordinal));
create table if not exists tranship_repairs (
    message {id} not null, entity_no bigint not null, origin text not null,
    primary key (message, entity_no, origin));
create table if not exists tranship_warnings (
    message {id} not null, entity_no bigint not null, rule text not null, first_record bigint not null,
    records bigint not null,
    primary key (message, entity_no, rule, first_record));
create table if not exists tranship_numbers (
    entity text not null, field text not null, next bigint not null, primary key (entity, field));
create table if not exists tranship_export_marks (
    job {id} not null, entity text not null, mark bigint not null, primary key (job, entity));
create table if not exists tranship_change_histories (
    name text not null primary key, history text not null, forgotten bigint not null);
create table if not exists tranship_tables (name text not null primary key);
create table if not exists tranship_made_tables (name text not null primary key);
create table if not exists tranship_stagings (name text not null primary key, target text not null, number bigint not null);
