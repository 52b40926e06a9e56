--
-- PostgreSQL database dump
--


-- Dumped from database version 15.18 (Debian 15.18-0+deb12u1)
-- Dumped by pg_dump version 15.18 (Debian 15.18-0+deb12u1)

SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;

--
-- Name: audit_is_append_only(); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.audit_is_append_only() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    -- What an entry of the log itself says was pruned may go, nothing else.
    IF TG_OP = 'DELETE' AND EXISTS (
        SELECT 1 FROM audit WHERE action = 'audit.prune' AND seq > OLD.seq AND target::bigint >= OLD.seq
    ) THEN
        RETURN OLD;
    END IF;
    RAISE EXCEPTION 'the audit log is append-only';
END
$$;


SET default_tablespace = '';

SET default_table_access_method = heap;

--
-- Name: audit; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.audit (
    seq bigint NOT NULL,
    at bigint NOT NULL,
    actor text NOT NULL,
    surface text NOT NULL,
    action text NOT NULL,
    target text NOT NULL,
    outcome text NOT NULL,
    detail text NOT NULL,
    previous bytea NOT NULL,
    hash bytea NOT NULL,
    CONSTRAINT audit_outcome_check CHECK ((outcome = ANY (ARRAY['done'::text, 'asked'::text, 'failed'::text]))),
    CONSTRAINT audit_surface_check CHECK ((surface = ANY (ARRAY['api'::text, 'console'::text, 'command_line'::text, 'service'::text])))
);


--
-- Name: blocked_groups; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.blocked_groups (
    job uuid NOT NULL,
    grp text NOT NULL,
    message uuid NOT NULL,
    blocked_at bigint NOT NULL
);


--
-- Name: clients; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.clients (
    name text NOT NULL,
    name_key text NOT NULL,
    secret_hash text NOT NULL,
    role text NOT NULL,
    created_at bigint NOT NULL,
    revoked_at bigint
);


--
-- Name: console_links; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.console_links (
    digest bytea NOT NULL,
    client text,
    expires_at bigint NOT NULL
);


--
-- Name: console_sessions; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.console_sessions (
    digest bytea NOT NULL,
    client text,
    begun_at bigint NOT NULL,
    expires_at bigint NOT NULL
);


--
-- Name: dmf_blobs; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.dmf_blobs (
    path text NOT NULL,
    client text NOT NULL,
    created_at bigint NOT NULL,
    expires_at bigint NOT NULL,
    key text,
    bytes bigint,
    digest bytea,
    md5 bytea,
    content_type text,
    written_at bigint,
    blocks_put bigint DEFAULT 0 NOT NULL,
    staged_blocks bigint DEFAULT 0 NOT NULL,
    staged_bytes bigint DEFAULT 0 NOT NULL,
    direct_key text,
    direct_version text,
    layout text
);


--
-- Name: dmf_blocks; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.dmf_blocks (
    path text NOT NULL,
    block text NOT NULL,
    key text NOT NULL,
    bytes bigint NOT NULL,
    digest bytea NOT NULL,
    number bigint NOT NULL
);


--
-- Name: error_groups; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.error_groups (
    message uuid NOT NULL,
    code text NOT NULL,
    field text NOT NULL,
    errors bigint NOT NULL,
    first_entity_no integer NOT NULL,
    first_record bigint NOT NULL,
    first_ordinal integer NOT NULL,
    distinct_values bigint DEFAULT 0 NOT NULL
);


--
-- Name: execution_entities; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.execution_entities (
    execution text NOT NULL,
    entity_no integer NOT NULL,
    label text NOT NULL,
    company text,
    staging_status text NOT NULL,
    staging_records bigint NOT NULL,
    staging_errors bigint NOT NULL,
    target_status text NOT NULL,
    records_read bigint NOT NULL,
    inserted bigint NOT NULL,
    updated bigint NOT NULL,
    unchanged bigint NOT NULL,
    deleted bigint NOT NULL,
    rejected bigint NOT NULL,
    skipped bigint NOT NULL,
    target_errors bigint NOT NULL,
    truncated bigint DEFAULT 0 NOT NULL,
    started_at bigint,
    finished_at bigint,
    warnings text DEFAULT '[]'::text NOT NULL
);


--
-- Name: executions; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.executions (
    id text NOT NULL,
    job uuid NOT NULL,
    message uuid,
    started_at bigint NOT NULL,
    finished_at bigint
);


--
-- Name: export_deliveries; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.export_deliveries (
    id uuid NOT NULL,
    job uuid NOT NULL,
    message uuid NOT NULL,
    destination text NOT NULL,
    lane text NOT NULL,
    path text,
    acknowledges boolean NOT NULL,
    state text NOT NULL,
    epoch bigint NOT NULL,
    attempt integer NOT NULL,
    owner text,
    due_at bigint NOT NULL,
    created_at bigint NOT NULL,
    finished_at bigint,
    last_at bigint,
    last_status integer,
    last_detail text,
    CONSTRAINT export_deliveries_state_check CHECK ((state = ANY (ARRAY['pending'::text, 'delivered'::text, 'failed'::text])))
)
WITH (fillfactor='70');


--
-- Name: export_messages; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.export_messages (
    job uuid NOT NULL,
    due_at bigint NOT NULL,
    part integer NOT NULL,
    message uuid NOT NULL
);


--
-- Name: export_positions; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.export_positions (
    job uuid NOT NULL,
    entity text NOT NULL,
    number bigint NOT NULL,
    due_at bigint,
    from_position text,
    to_position text,
    state text NOT NULL,
    note text,
    taken_at bigint NOT NULL,
    CONSTRAINT export_positions_state_check CHECK ((state = ANY (ARRAY['queued'::text, 'delivered'::text, 'lost'::text, 'recovered'::text, 'nothing'::text, 'rewound'::text])))
);


--
-- Name: exported_packages; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.exported_packages (
    execution text NOT NULL,
    job uuid NOT NULL,
    due_at bigint NOT NULL,
    path text NOT NULL,
    bytes bigint NOT NULL,
    expires_at bigint NOT NULL,
    sent text DEFAULT '[]'::text NOT NULL,
    fetched_at bigint
);


--
-- Name: identities; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.identities (
    job uuid NOT NULL,
    kind text NOT NULL,
    key text NOT NULL,
    message uuid NOT NULL,
    digest bytea NOT NULL,
    created_at bigint NOT NULL,
    CONSTRAINT identities_kind_check CHECK ((kind = ANY (ARRAY['key'::text, 'external'::text, 'content'::text])))
);


--
-- Name: message_events_seq; Type: SEQUENCE; Schema: public; Owner: -
--

CREATE SEQUENCE public.message_events_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;


--
-- Name: message_events; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.message_events (
    message uuid NOT NULL,
    seq bigint DEFAULT nextval('public.message_events_seq'::regclass) NOT NULL,
    at bigint NOT NULL,
    status text NOT NULL,
    epoch bigint NOT NULL,
    note text,
    CONSTRAINT message_events_status_check CHECK ((status = ANY (ARRAY['Enqueued'::text, 'Dequeued'::text, 'Downloaded'::text, 'Acked'::text, 'PreProcessing'::text, 'Processing'::text, 'Processed'::text, 'ProcessedWithErrors'::text, 'Staged'::text, 'PreProcessingError'::text, 'PostProcessingFailed'::text, 'Cancelled'::text, 'Expired'::text, 'DeadLettered'::text])))
)
PARTITION BY RANGE (message);


--
-- Name: message_events_default; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.message_events_default (
    message uuid NOT NULL,
    seq bigint DEFAULT nextval('public.message_events_seq'::regclass) NOT NULL,
    at bigint NOT NULL,
    status text NOT NULL,
    epoch bigint NOT NULL,
    note text,
    CONSTRAINT message_events_status_check CHECK ((status = ANY (ARRAY['Enqueued'::text, 'Dequeued'::text, 'Downloaded'::text, 'Acked'::text, 'PreProcessing'::text, 'Processing'::text, 'Processed'::text, 'ProcessedWithErrors'::text, 'Staged'::text, 'PreProcessingError'::text, 'PostProcessingFailed'::text, 'Cancelled'::text, 'Expired'::text, 'DeadLettered'::text])))
);


--
-- Name: message_webhooks; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.message_webhooks (
    message uuid NOT NULL,
    url text NOT NULL,
    created_at bigint NOT NULL
);


--
-- Name: messages; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.messages (
    id uuid NOT NULL,
    job uuid NOT NULL,
    direction text NOT NULL,
    entity text,
    company text,
    external_id text,
    enqueued_by text NOT NULL,
    digest bytea NOT NULL,
    bytes bigint NOT NULL,
    blob_key text,
    durability text NOT NULL,
    parent uuid,
    forced boolean DEFAULT false NOT NULL,
    enqueued_at bigint NOT NULL,
    traceparent text,
    CONSTRAINT messages_direction_check CHECK ((direction = ANY (ARRAY['import'::text, 'export'::text, 'relay'::text]))),
    CONSTRAINT messages_durability_check CHECK ((durability = ANY (ARRAY['full'::text, 'relaxed'::text])))
)
PARTITION BY RANGE (id);


--
-- Name: messages_default; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.messages_default (
    id uuid NOT NULL,
    job uuid NOT NULL,
    direction text NOT NULL,
    entity text,
    company text,
    external_id text,
    enqueued_by text NOT NULL,
    digest bytea NOT NULL,
    bytes bigint NOT NULL,
    blob_key text,
    durability text NOT NULL,
    parent uuid,
    forced boolean DEFAULT false NOT NULL,
    enqueued_at bigint NOT NULL,
    traceparent text,
    CONSTRAINT messages_direction_check CHECK ((direction = ANY (ARRAY['import'::text, 'export'::text, 'relay'::text]))),
    CONSTRAINT messages_durability_check CHECK ((durability = ANY (ARRAY['full'::text, 'relaxed'::text])))
);


--
-- Name: missed_occurrences; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.missed_occurrences (
    job uuid NOT NULL,
    first_due bigint NOT NULL,
    last_due bigint NOT NULL,
    occurrences bigint NOT NULL,
    reason text NOT NULL,
    note text NOT NULL,
    recorded_at bigint NOT NULL,
    CONSTRAINT missed_occurrences_reason_check CHECK ((reason = ANY (ARRAY['missed'::text, 'paused'::text, 'overlap'::text, 'calendar'::text])))
);


--
-- Name: occurrences; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.occurrences (
    job uuid NOT NULL,
    due_at bigint NOT NULL,
    state text NOT NULL,
    triggered_by text NOT NULL,
    epoch bigint DEFAULT 0 NOT NULL,
    attempt integer DEFAULT 0 NOT NULL,
    owner text,
    lease_until bigint,
    not_before bigint,
    execution text,
    message uuid,
    records bigint,
    note text,
    finished_at bigint,
    origin text DEFAULT 'schedule'::text NOT NULL,
    reason text,
    comment text,
    forced boolean DEFAULT false NOT NULL,
    cancel_asked text,
    started_at bigint,
    written_at bigint,
    stored_at bigint,
    CONSTRAINT occurrences_origin_check CHECK ((origin = ANY (ARRAY['schedule'::text, 'run'::text, 'backfill'::text]))),
    CONSTRAINT occurrences_reason_check CHECK ((reason = ANY (ARRAY['missed'::text, 'paused'::text, 'overlap'::text, 'calendar'::text]))),
    CONSTRAINT occurrences_state_check CHECK ((state = ANY (ARRAY['due'::text, 'running'::text, 'done'::text, 'skipped'::text, 'failed'::text, 'cancelled'::text])))
)
WITH (fillfactor='70');


--
-- Name: outcomes; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.outcomes (
    message uuid NOT NULL,
    job uuid NOT NULL,
    status text NOT NULL,
    seq bigint NOT NULL,
    grp text,
    epoch bigint NOT NULL,
    attempt integer NOT NULL,
    dequeued_at bigint,
    previous_dequeued_at bigint,
    started_at bigint,
    finished_at bigint NOT NULL,
    execution text,
    failure_code text,
    failure_detail text,
    first_error text,
    last_error text,
    records_read bigint DEFAULT 0 NOT NULL,
    inserted bigint DEFAULT 0 NOT NULL,
    updated bigint DEFAULT 0 NOT NULL,
    unchanged bigint DEFAULT 0 NOT NULL,
    deleted bigint DEFAULT 0 NOT NULL,
    rejected bigint DEFAULT 0 NOT NULL,
    skipped bigint DEFAULT 0 NOT NULL,
    repaired bigint DEFAULT 0 NOT NULL,
    owner text,
    CONSTRAINT outcomes_status_check CHECK ((status = ANY (ARRAY['Acked'::text, 'Processed'::text, 'ProcessedWithErrors'::text, 'Staged'::text, 'PreProcessingError'::text, 'PostProcessingFailed'::text, 'Cancelled'::text, 'Expired'::text, 'DeadLettered'::text])))
)
PARTITION BY RANGE (message);


--
-- Name: outcomes_default; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.outcomes_default (
    message uuid NOT NULL,
    job uuid NOT NULL,
    status text NOT NULL,
    seq bigint NOT NULL,
    grp text,
    epoch bigint NOT NULL,
    attempt integer NOT NULL,
    dequeued_at bigint,
    previous_dequeued_at bigint,
    started_at bigint,
    finished_at bigint NOT NULL,
    execution text,
    failure_code text,
    failure_detail text,
    first_error text,
    last_error text,
    records_read bigint DEFAULT 0 NOT NULL,
    inserted bigint DEFAULT 0 NOT NULL,
    updated bigint DEFAULT 0 NOT NULL,
    unchanged bigint DEFAULT 0 NOT NULL,
    deleted bigint DEFAULT 0 NOT NULL,
    rejected bigint DEFAULT 0 NOT NULL,
    skipped bigint DEFAULT 0 NOT NULL,
    repaired bigint DEFAULT 0 NOT NULL,
    owner text,
    CONSTRAINT outcomes_status_check CHECK ((status = ANY (ARRAY['Acked'::text, 'Processed'::text, 'ProcessedWithErrors'::text, 'Staged'::text, 'PreProcessingError'::text, 'PostProcessingFailed'::text, 'Cancelled'::text, 'Expired'::text, 'DeadLettered'::text])))
);


--
-- Name: package_requests; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.package_requests (
    execution text NOT NULL,
    client text NOT NULL,
    action text NOT NULL,
    project text NOT NULL,
    asked text NOT NULL,
    asked_at bigint NOT NULL,
    message uuid
);


--
-- Name: payloads; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.payloads (
    message uuid NOT NULL,
    bytes bytea NOT NULL
)
PARTITION BY RANGE (message);


--
-- Name: payloads_default; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.payloads_default (
    message uuid NOT NULL,
    bytes bytea NOT NULL
);


--
-- Name: project_changes; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.project_changes (
    only_row integer NOT NULL,
    number bigint NOT NULL,
    CONSTRAINT project_changes_only_row_check CHECK ((only_row = 1))
);


--
-- Name: projects; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.projects (
    id uuid NOT NULL,
    name text NOT NULL,
    name_key text NOT NULL,
    direction text NOT NULL,
    client text NOT NULL,
    holds text NOT NULL,
    created_at bigint NOT NULL,
    changed_at bigint NOT NULL,
    CONSTRAINT projects_direction_check CHECK ((direction = ANY (ARRAY['import'::text, 'export'::text])))
);


--
-- Name: queue; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.queue (
    message uuid NOT NULL,
    job uuid NOT NULL,
    seq bigint NOT NULL,
    rank bigint NOT NULL,
    lane text NOT NULL,
    grp text,
    status text NOT NULL,
    cancel_asked text,
    wait text NOT NULL,
    epoch bigint DEFAULT 0 NOT NULL,
    attempt integer DEFAULT 0 NOT NULL,
    stalled integer DEFAULT 0 NOT NULL,
    max_deliveries integer,
    block_on_dead_letter boolean DEFAULT false NOT NULL,
    returned boolean DEFAULT false NOT NULL,
    owner text,
    lease_until bigint,
    redeliver_at bigint,
    not_before bigint,
    expires_at bigint,
    dequeued_at bigint,
    previous_dequeued_at bigint,
    started_at bigint,
    execution text,
    first_error text,
    last_error text,
    CONSTRAINT queue_check CHECK (((status = 'Enqueued'::text) = (wait <> 'out'::text))),
    CONSTRAINT queue_status_check CHECK ((status = ANY (ARRAY['Enqueued'::text, 'Dequeued'::text, 'Downloaded'::text, 'PreProcessing'::text, 'Processing'::text]))),
    CONSTRAINT queue_wait_check CHECK ((wait = ANY (ARRAY['ready'::text, 'delayed'::text, 'behind'::text, 'out'::text])))
)
WITH (fillfactor='70', autovacuum_vacuum_scale_factor='0.02', autovacuum_vacuum_cost_delay='0');


--
-- Name: queue_depths; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.queue_depths (
    job uuid NOT NULL,
    origin bigint NOT NULL,
    second bigint NOT NULL,
    waiting bigint NOT NULL,
    leased bigint NOT NULL
)
WITH (fillfactor='50', autovacuum_vacuum_scale_factor='0.02', autovacuum_vacuum_cost_delay='0');


--
-- Name: queue_seq_seq; Type: SEQUENCE; Schema: public; Owner: -
--

ALTER TABLE public.queue ALTER COLUMN seq ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.queue_seq_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);


--
-- Name: record_errors; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.record_errors (
    message uuid NOT NULL,
    entity_no integer NOT NULL,
    record bigint NOT NULL,
    ordinal integer NOT NULL,
    origin_message uuid,
    origin_entity_no integer,
    origin_record bigint,
    line bigint NOT NULL,
    byte_start bigint NOT NULL,
    byte_end bigint NOT NULL,
    column_no bigint,
    field text,
    code text NOT NULL,
    value text,
    reason text NOT NULL,
    by_target boolean DEFAULT false NOT NULL
);


--
-- Name: repairs; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.repairs (
    message uuid NOT NULL,
    entity_no integer NOT NULL,
    record bigint NOT NULL,
    child uuid NOT NULL
);


--
-- Name: schedules; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.schedules (
    job uuid NOT NULL,
    pattern text NOT NULL,
    evaluated_to bigint NOT NULL,
    paused_at bigint,
    paused_by text,
    pause_note text,
    resumed_at bigint,
    resumed_by text,
    resumed_missed text,
    CONSTRAINT schedules_resumed_missed_check CHECK ((resumed_missed = ANY (ARRAY['skip'::text, 'once'::text, 'all'::text])))
);


--
-- Name: schema_migrations; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.schema_migrations (
    number bigint NOT NULL,
    name text NOT NULL,
    checksum text NOT NULL,
    applied_at bigint NOT NULL
);


--
-- Name: signing_keys; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.signing_keys (
    purpose text NOT NULL,
    slot integer NOT NULL,
    secret bytea NOT NULL,
    created_at bigint NOT NULL,
    CONSTRAINT signing_keys_purpose_check CHECK ((purpose = ANY (ARRAY['token'::text, 'receipt'::text, 'url'::text]))),
    CONSTRAINT signing_keys_slot_check CHECK ((slot = ANY (ARRAY[0, 1])))
);


--
-- Name: store_facts; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.store_facts (
    name text NOT NULL,
    value text NOT NULL
);


--
-- Name: uploads; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.uploads (
    key text NOT NULL,
    state text NOT NULL,
    message uuid,
    owner text NOT NULL,
    created_at bigint NOT NULL,
    beat_at bigint NOT NULL,
    CONSTRAINT uploads_state_check CHECK ((state = ANY (ARRAY['open'::text, 'used'::text, 'dead'::text])))
);


--
-- Name: webhook_deliveries; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.webhook_deliveries (
    id uuid NOT NULL,
    job uuid NOT NULL,
    message uuid,
    event text NOT NULL,
    url text NOT NULL,
    destination text NOT NULL,
    body text NOT NULL,
    state text NOT NULL,
    epoch bigint NOT NULL,
    attempt integer NOT NULL,
    owner text,
    due_at bigint NOT NULL,
    created_at bigint NOT NULL,
    finished_at bigint,
    last_at bigint,
    last_status integer,
    last_detail text,
    CONSTRAINT webhook_deliveries_event_check CHECK ((event = ANY (ARRAY['message.finished'::text, 'ping'::text]))),
    CONSTRAINT webhook_deliveries_state_check CHECK ((state = ANY (ARRAY['pending'::text, 'delivered'::text, 'dead'::text])))
)
WITH (fillfactor='70');


--
-- Name: message_events_default; Type: TABLE ATTACH; Schema: public; Owner: -
--

ALTER TABLE ONLY public.message_events ATTACH PARTITION public.message_events_default DEFAULT;


--
-- Name: messages_default; Type: TABLE ATTACH; Schema: public; Owner: -
--

ALTER TABLE ONLY public.messages ATTACH PARTITION public.messages_default DEFAULT;


--
-- Name: outcomes_default; Type: TABLE ATTACH; Schema: public; Owner: -
--

ALTER TABLE ONLY public.outcomes ATTACH PARTITION public.outcomes_default DEFAULT;


--
-- Name: payloads_default; Type: TABLE ATTACH; Schema: public; Owner: -
--

ALTER TABLE ONLY public.payloads ATTACH PARTITION public.payloads_default DEFAULT;


--
-- Data for Name: audit; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.audit VALUES (1, 1795966000581117, 'os user root', 'command_line', 'client.add', 'keeper', 'done', '{"role":"admin"}', '\x0000000000000000000000000000000000000000000000000000000000000000', '\x52b5e90905ad6862ad3497586a1fbfdce513c976603672002015ffc06983ac14');
INSERT INTO public.audit VALUES (2, 1795966002670854, 'keeper', 'api', 'job.pause', '00000000-0000-4000-8000-0000000000e1', 'done', '{"job":"Parts in","note":"until the new version"}', '\x52b5e90905ad6862ad3497586a1fbfdce513c976603672002015ffc06983ac14', '\xb1073939ebd1ad3a1d572c1cfde1d29b6921c99f008c342a838b8b7087c479b7');
INSERT INTO public.audit VALUES (3, 1795966002708179, 'keeper', 'api', 'job.run', '00000000-0000-4000-8000-0000000000e2', 'done', '{"due_at":"2026-11-29T15:26:42Z","job":"Parts out"}', '\xb1073939ebd1ad3a1d572c1cfde1d29b6921c99f008c342a838b8b7087c479b7', '\x2dfd54a13ea9bd33a94b155a9d88c4d36473b20f482c1eaf2fb4b761b2f609ae');


--
-- Data for Name: blocked_groups; Type: TABLE DATA; Schema: public; Owner: -
--



--
-- Data for Name: clients; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.clients VALUES ('keeper', 'keeper', '$argon2id$v=19$m=4096,t=1,p=1$VvoJ+b5dIVjdn6qyyGYFpQ$Dyac9XXvVCf7qKTSFIP6kQWX7Xp7SoB0IH3VqvZ+PZA', 'admin', 1795965998974419, NULL);


--
-- Data for Name: console_links; Type: TABLE DATA; Schema: public; Owner: -
--



--
-- Data for Name: console_sessions; Type: TABLE DATA; Schema: public; Owner: -
--



--
-- Data for Name: dmf_blobs; Type: TABLE DATA; Schema: public; Owner: -
--



--
-- Data for Name: dmf_blocks; Type: TABLE DATA; Schema: public; Owner: -
--



--
-- Data for Name: error_groups; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.error_groups VALUES ('01a227ea-620a-7700-add5-65d346dd8ab8', 'invalid_int', 'pieces', 1, 0, 2, 0, 1);


--
-- Data for Name: execution_entities; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.execution_entities VALUES ('Parts in-2026-11-29T15:26:41-7c49043bff004d9989fa18ff6f63ff8e', 0, 'Parts', NULL, 'Error', 3, 1, 'Finished', 3, 2, 0, 0, 0, 1, 0, 0, 0, 1795966001769201, 1795966002593082, '[]');
INSERT INTO public.execution_entities VALUES ('Parts out-2026-11-29T15:26:42-89c65ea422724925974b4774add083db', 0, 'Parts', NULL, 'Finished', 2, 0, 'Finished', 2, 2, 0, 0, 0, 0, 0, 0, 0, NULL, 1795966002740149, '[]');


--
-- Data for Name: executions; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.executions VALUES ('Parts in-2026-11-29T15:26:41-7c49043bff004d9989fa18ff6f63ff8e', '00000000-0000-4000-8000-0000000000e1', '01a227ea-620a-7700-add5-65d346dd8ab8', 1795966001769201, 1795966002602359);
INSERT INTO public.executions VALUES ('Parts out-2026-11-29T15:26:42-89c65ea422724925974b4774add083db', '00000000-0000-4000-8000-0000000000e2', '01a227ea-6634-72e2-9f93-47821a4fbf1f', 1795966002715358, 1795966002740149);


--
-- Data for Name: export_deliveries; Type: TABLE DATA; Schema: public; Owner: -
--



--
-- Data for Name: export_messages; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.export_messages VALUES ('00000000-0000-4000-8000-0000000000e2', 1795966002708200, 0, '01a227ea-6634-72e2-9f93-47821a4fbf1f');


--
-- Data for Name: export_positions; Type: TABLE DATA; Schema: public; Owner: -
--



--
-- Data for Name: exported_packages; Type: TABLE DATA; Schema: public; Owner: -
--



--
-- Data for Name: identities; Type: TABLE DATA; Schema: public; Owner: -
--



--
-- Data for Name: message_events_default; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.message_events_default VALUES ('01a227ea-620a-7700-add5-65d346dd8ab8', 1, 1795966001693429, 'PreProcessing', 1, NULL);
INSERT INTO public.message_events_default VALUES ('01a227ea-620a-7700-add5-65d346dd8ab8', 2, 1795966002471989, 'Processing', 1, NULL);
INSERT INTO public.message_events_default VALUES ('01a227ea-620a-7700-add5-65d346dd8ab8', 3, 1795966002602359, 'ProcessedWithErrors', 1, NULL);
INSERT INTO public.message_events_default VALUES ('01a227ea-6629-72b5-9b0a-2f5d6b6c7fbc', 4, 1795966002817686, 'DeadLettered', 1, 'rejected');
INSERT INTO public.message_events_default VALUES ('01a227ea-6634-72e2-9f93-47821a4fbf1f', 5, 1795966002839480, 'Dequeued', 1, 'to keeper');
INSERT INTO public.message_events_default VALUES ('01a227ea-6634-72e2-9f93-47821a4fbf1f', 6, 1795966002938161, 'Enqueued', 1, 'given back');


--
-- Data for Name: message_webhooks; Type: TABLE DATA; Schema: public; Owner: -
--



--
-- Data for Name: messages_default; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.messages_default VALUES ('01a227ea-620a-7700-add5-65d346dd8ab8', '00000000-0000-4000-8000-0000000000e1', 'import', 'Parts', NULL, NULL, 'keeper', '\xe530b626dc79848412dde6d43507d1393158f377206416a2ec46c69de0fcaaff', 39, NULL, 'full', NULL, false, 1795966001674248, NULL);
INSERT INTO public.messages_default VALUES ('01a227ea-6601-7268-acbd-09576db0e2e0', '00000000-0000-4000-8000-0000000000e1', 'import', 'Parts', NULL, NULL, 'keeper', '\x25a52f7068c445de8ba6773abbeadd30783c78242a41d808634304b132c62cc5', 19, NULL, 'full', NULL, false, 1795966002689183, NULL);
INSERT INTO public.messages_default VALUES ('01a227ea-661e-760b-8667-ac67404ceba7', '00000000-0000-4000-8000-0000000000e3', 'relay', NULL, NULL, NULL, 'keeper', '\x3ef25c849197ef76226ed8bb9b8aa4dc0212702980f2eb38b1ab98ee0c9a9647', 12, NULL, 'full', NULL, false, 1795966002718689, NULL);
INSERT INTO public.messages_default VALUES ('01a227ea-6629-72b5-9b0a-2f5d6b6c7fbc', '00000000-0000-4000-8000-0000000000e3', 'relay', NULL, NULL, NULL, 'keeper', '\x83c874d33e8bff73caaa762c79cd1ed101d727c7f20fe4972c67e67978292f23', 7, NULL, 'full', NULL, false, 1795966002729532, NULL);
INSERT INTO public.messages_default VALUES ('01a227ea-6634-72e2-9f93-47821a4fbf1f', '00000000-0000-4000-8000-0000000000e2', 'export', NULL, NULL, 'Parts out 2026-11-29T15-26-42Z.zip', 'keeper', '\x20d51d96af70558c93ece9193883cf4d33377d8d0e407cc9ed59a6640011bdfe', 1698, NULL, 'full', NULL, false, 1795966002740149, '00-bec061aaa688e22f34d3b5a923658789-123eb6b09ba24a3b-01');
INSERT INTO public.messages_default VALUES ('01a227ea-6641-723c-940c-5b103331e16d', '00000000-0000-4000-8000-0000000000e3', 'relay', NULL, NULL, NULL, 'keeper', '\x1ef001c44773ada34af4534af34dfedffb7f112e831b0572b0998b6b3e167cca', 6, NULL, 'full', NULL, false, 1795966002753440, NULL);
INSERT INTO public.messages_default VALUES ('01a227ea-6655-7097-9dd7-3d8ac1ed59ca', '00000000-0000-4000-8000-0000000000e3', 'relay', NULL, NULL, NULL, 'keeper', '\x7c4a345722b40acbdc121843d43b674e9f7c50201f26b4b915931b4f2a73d3d0', 5, NULL, 'full', NULL, false, 1795966002773215, NULL);


--
-- Data for Name: missed_occurrences; Type: TABLE DATA; Schema: public; Owner: -
--



--
-- Data for Name: occurrences; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.occurrences VALUES ('00000000-0000-4000-8000-0000000000e2', 1795966002708200, 'done', 'keeper', 1, 1, NULL, NULL, NULL, 'Parts out-2026-11-29T15:26:42-89c65ea422724925974b4774add083db', '01a227ea-6634-72e2-9f93-47821a4fbf1f', 2, NULL, 1795966002740149, 'run', NULL, NULL, false, NULL, 1795966002715358, 1795966002738934, 1795966002740054);


--
-- Data for Name: outcomes_default; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.outcomes_default VALUES ('01a227ea-620a-7700-add5-65d346dd8ab8', '00000000-0000-4000-8000-0000000000e1', 'ProcessedWithErrors', 1, NULL, 1, 1, NULL, NULL, 1795966001693429, 1795966002602359, 'Parts in-2026-11-29T15:26:41-7c49043bff004d9989fa18ff6f63ff8e', NULL, NULL, NULL, NULL, 3, 2, 0, 0, 0, 1, 0, 0, NULL);
INSERT INTO public.outcomes_default VALUES ('01a227ea-661e-760b-8667-ac67404ceba7', '00000000-0000-4000-8000-0000000000e3', 'Acked', 3, NULL, 1, 1, 1795966002781498, NULL, NULL, 1795966002797183, NULL, NULL, NULL, NULL, NULL, 0, 0, 0, 0, 0, 0, 0, 0, 'keeper');
INSERT INTO public.outcomes_default VALUES ('01a227ea-6629-72b5-9b0a-2f5d6b6c7fbc', '00000000-0000-4000-8000-0000000000e3', 'DeadLettered', 4, NULL, 1, 1, 1795966002781498, NULL, NULL, 1795966002817686, NULL, 'rejected', 'torn', 'torn', 'torn', 0, 0, 0, 0, 0, 0, 0, 0, 'keeper');


--
-- Data for Name: package_requests; Type: TABLE DATA; Schema: public; Owner: -
--



--
-- Data for Name: payloads_default; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.payloads_default VALUES ('01a227ea-620a-7700-add5-65d346dd8ab8', '\x706172742c7069656365730a6e61696c2c3530300a73637265772c6d616e790a626f6c742c370a');
INSERT INTO public.payloads_default VALUES ('01a227ea-6601-7268-acbd-09576db0e2e0', '\x706172742c7069656365730a6e75742c34300a');
INSERT INTO public.payloads_default VALUES ('01a227ea-661e-760b-8667-ac67404ceba7', '\x61636b6e6f776c6564676564');
INSERT INTO public.payloads_default VALUES ('01a227ea-6629-72b5-9b0a-2f5d6b6c7fbc', '\x72656675736564');
INSERT INTO public.payloads_default VALUES ('01a227ea-6634-72e2-9f93-47821a4fbf1f', '\x504b0304140008000800000021000000000000000000000000000c0000004d616e69666573742e786d6ced554b6fa33010bee75720ee8d93ae565a5584aadb2655a4a49b2d69d51e679d81583536b5c74df2ef57405c200fa9873dee0dbec7300fe389aeb7b90c3ed058a1d5281cf60761808aeb9550d92874945efc08afe35e740704735090618e8a16c0df20c3392891a2a5609b4b6547e19aa8b862ccf235e660fbb9e0465b9d529feb9cad760a72c12dbb1c0cbfb3c19075438675902bf11966b3d9f437dffada64ec723018b297f92ca9225f08650914c730ee05417487a950828456f746bbe201728c1760c806da51c44ed1b5cd72238a92e8ca1bb894ed4b1d2b12b49b094b255ada4f35a4569554adaab30327e911538376bddc15184f9c940b67d7556e87e4a74f58f823317ed011f3cf9eab3f3387a2c9a78b3758104437c6c06eaa56b88d07116bbdb545b5752250aee2c5cde332626de48cf256abfdc9291309c495127214927118b28e676a6f1ce97db555495de4587b8f0a0d10ae5aea06ebeaf7519e413a1cbf3b900f4ecabdef34d7f63f595ce2967e3b902215682ae311d876bccc67755b0a301495e7f2a04bbe799d49fcb3e94cc7b7e3e4ff7cbe321f811ced1727d482dabfd5bef7cdade275fe2269899606944db5c9cfff0ed178cb51266b442a03b471e4aebc759e94a07818b12ee0651310b2c3fc526363747d6acf926df70c3f501eba3aa0574f55e16822242e80d675f17d6e3f22d625bcbc8a315547859cc4bde9d1a99fce0a85d6ce742678fc5a0eec083d217f06295650ddd3879e16e58d09e485449f73d3f604df1d2a8e5355a559e67b08f5bcf44d140941265456f5adfdfea9d1ce709c689303c5b7c973c43a88972dc16448f5a1f1a7aa83796153494240ced6a51ea1f54a3ad8a8277752c44e2cb4334ebfdee3de5f504b070892abc3907c02000026080000504b030414000800080000002100000000000000000000000000110000005061636b6167654865616465722e786d6c5d91cd6ac3301084ef7e0aa37b24dba55082a250306d0f3504124aae8bbc7696589291943ae9d317e78f38c7dd1dbe1966e5f268baf4177d2067172ce7194bd16a57936d17ec109bd91b5baa449610a1020b2d1ab471057a0f2d7e21d4e8d3a3e96c58b05d8cfd5c88a07768207043dabbe09ac8b533a23e5930a48328b2fc5564b99802d90532a73b6618063ebc70e75b5164592eb6d5f7fa4c9e910d11ac46a69234952506eda98fe4ac5a818f21758728c5e37a945560a9c11037a71e55758f565e63f1f72dfff06070707ecf37ce75814f13f2357a828efe60643e1daf7ddc4ca498d88dfe57c5792eb1214b23e6d3bb432fc5e3f141fc73f98a2aee8adb26914ffd4d1ea2927f504b07084759cd3d09010000d6010000504b03042d0008000800000021000000000000000000000000000900140050617274732e63737601001000000000000000000000000000000000002b482c2ad129c84c4d4e2de6e54acacf29d131e7e5ca4bccccd1313530e0e50200504b0708454c2c7b21000000000000001f00000000000000504b0304140008000800000021000000000000000000000000000d0000007472616e736869702e6a736f6e4d4e5d6bc230147defaf08799d95f4aa590df8e06082c38789c3c286484ca3cb502bc9d551c4ff3e9276d1fb70927b3e92734d08a13fd5860a42dfa54547aa33d28e67a542733158af4de955d64e1aa0ef21ff5f9bd1d004cbb35e4bf41960c0d32c4b61f8910d0470d187ee33cb81b1cfc6ba357beda8205f0921845c03b6746cd455ee12dc41dad41812bd2c52a5d96917fe73df3285011f095e8ced9ebf3dcd5ed4c24d4f90cbc5eb723e5bf6941d9adfc344ee4e581ce6b92cd448dc1fd74734681e1a3db6ba3bead82d468368b5aa6ce9d310e95b7b5b85d36fabe4f607504b0708ad9e62f8e000000076010000504b010214031400080008000000210092abc3907c020000260800000c0000000000000000000000a481000000004d616e69666573742e786d6c504b01021403140008000800000021004759cd3d09010000d6010000110000000000000000000000a481b60200005061636b6167654865616465722e786d6c504b01022d032d000800080000002100454c2c7bffffffffffffffff090014000000000000000000a481fe03000050617274732e637376010010001f000000000000002100000000000000504b0102140314000800080000002100ad9e62f8e0000000760100000d0000000000000000000000a481720400007472616e736869702e6a736f6e504b05060000000004000400ff0000008d0500000000');
INSERT INTO public.payloads_default VALUES ('01a227ea-6641-723c-940c-5b103331e16d', '\x6c6561736564');
INSERT INTO public.payloads_default VALUES ('01a227ea-6655-7097-9dd7-3d8ac1ed59ca', '\x7761697473');


--
-- Data for Name: project_changes; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.project_changes VALUES (1, 0);


--
-- Data for Name: projects; Type: TABLE DATA; Schema: public; Owner: -
--



--
-- Data for Name: queue; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.queue VALUES ('01a227ea-6601-7268-acbd-09576db0e2e0', '00000000-0000-4000-8000-0000000000e1', 2, 1795966002689183, '', NULL, 'Enqueued', NULL, 'ready', 0, 0, 0, NULL, false, false, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO public.queue VALUES ('01a227ea-6655-7097-9dd7-3d8ac1ed59ca', '00000000-0000-4000-8000-0000000000e3', 7, 1795966002773215, '', NULL, 'Enqueued', NULL, 'ready', 0, 0, 0, 10, false, false, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO public.queue VALUES ('01a227ea-6641-723c-940c-5b103331e16d', '00000000-0000-4000-8000-0000000000e3', 6, 1795966002753440, '', NULL, 'Dequeued', NULL, 'out', 1, 1, 0, 10, false, false, 'keeper', NULL, 1795966062781498, NULL, NULL, 1795966002781498, NULL, NULL, NULL, NULL, NULL);
INSERT INTO public.queue VALUES ('01a227ea-6634-72e2-9f93-47821a4fbf1f', '00000000-0000-4000-8000-0000000000e2', 5, 1795966002740149, '', NULL, 'Enqueued', NULL, 'ready', 1, 0, 0, 10, false, false, NULL, NULL, NULL, NULL, NULL, 1795966002839480, NULL, NULL, 'Parts out-2026-11-29T15:26:42-89c65ea422724925974b4774add083db', NULL, NULL);


--
-- Data for Name: queue_depths; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.queue_depths VALUES ('00000000-0000-4000-8000-0000000000e1', 417976269452148736, 0, 0, 1);
INSERT INTO public.queue_depths VALUES ('00000000-0000-4000-8000-0000000000e1', 417976269452148736, 1, 1, -1);
INSERT INTO public.queue_depths VALUES ('00000000-0000-4000-8000-0000000000e3', 417976269452148737, 1, 4, 0);
INSERT INTO public.queue_depths VALUES ('00000000-0000-4000-8000-0000000000e3', 417976269452148736, 1, -3, 1);
INSERT INTO public.queue_depths VALUES ('00000000-0000-4000-8000-0000000000e2', 417976269452148736, 1, 1, 0);


--
-- Data for Name: record_errors; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.record_errors VALUES ('01a227ea-620a-7700-add5-65d346dd8ab8', 0, 2, 0, NULL, NULL, NULL, 3, 21, 32, 2, 'pieces', 'invalid_int', 'many', '`many` is not a whole number: write digits only, e.g. 12 or -12', false);


--
-- Data for Name: repairs; Type: TABLE DATA; Schema: public; Owner: -
--



--
-- Data for Name: schedules; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.schedules VALUES ('00000000-0000-4000-8000-0000000000e1', '', 1795966002670842, 1795966002670842, 'keeper', 'until the new version', NULL, NULL, NULL);


--
-- Data for Name: schema_migrations; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.schema_migrations VALUES (1, '0001_messages', '75a333a0708d50e7ed91ac8cccf4bb204eb2bcd24ff136f91fff289f348d15ae', 1795965998976805);
INSERT INTO public.schema_migrations VALUES (2, '0002_executions', '61e25bbb35f1433598dd5db0fe99a3404528571950aed29ee13508342efff932', 1795965998976805);
INSERT INTO public.schema_migrations VALUES (3, '0003_schedules', '0fb0d8973ad350bbd6d3f8ad45f135e547a73b733fe58fdf3b033de7f8767b98', 1795965998976805);
INSERT INTO public.schema_migrations VALUES (4, '0004_access', '4295e2a5e2c5bc32678d654b3745ba61305b328b7dda08edfed6e623d7a9a2fe', 1795965998976805);
INSERT INTO public.schema_migrations VALUES (5, '0005_webhooks', 'c889ab0873e8051d7739bb5894087ade19707d4d62003afbd04f608a70eefc19', 1795965998976805);
INSERT INTO public.schema_migrations VALUES (6, '0006_schedule_policies', '55b470f478d54a74c85a91e89a620a3f4b5e4130127877dda05cc0b1b3b7b880', 1795965998976805);
INSERT INTO public.schema_migrations VALUES (7, '0007_error_phases', 'f4f7b48e69a2530de63af9c455db91d2e5936476904995b53d2c4fb3c3685a4b', 1795965998976805);
INSERT INTO public.schema_migrations VALUES (8, '0008_export_positions', '20dbc3ed4eff6cac07d7095e1cbbddb2201400d910b33e7687065a094785745c', 1795965998976805);
INSERT INTO public.schema_migrations VALUES (9, '0009_destinations', 'f8a156a05906a6e56cdaddb2b89aa6085299698adc4eb0a0ec22c469179c0a8b', 1795965998976805);
INSERT INTO public.schema_migrations VALUES (10, '0010_dmf_blobs', '19867134332ab4e8857445877beb726929a88818cd853ea3e666dd2d4b005015', 1795965998976805);
INSERT INTO public.schema_migrations VALUES (11, '0011_package_requests', 'b15d7f77edcc1db864f370eb559fe63c128f81f5d3030707698f340a08941981', 1795965998976805);
INSERT INTO public.schema_migrations VALUES (12, '0012_projects', '3b2fd83cead132cd5994da95b2d70b44b22e7bb6d95c050bf953d6b247b75548', 1795965998976805);
INSERT INTO public.schema_migrations VALUES (13, '0013_exported_packages', '320f10c98792934724878d94a5d53655f947e2186eb572b6e700824dd1ba0c0d', 1795965998976805);
INSERT INTO public.schema_migrations VALUES (14, '0014_collected_by', 'fb5d6c5e6a57c1077fde4e196c06bb6640af06279a65effc0c59c216206d1fa9', 1795965998976805);
INSERT INTO public.schema_migrations VALUES (15, '0015_console', '46cb76ab0413879d46b06023f94ab671cac0df523cfbd5511af8f3ef5e833cd5', 1795965998976805);
INSERT INTO public.schema_migrations VALUES (16, '0016_audit', '8233ee0d38000df064d0f57c5f2b85765a3229f14fc7bb70a30522d5e57d906b', 1795965998976805);
INSERT INTO public.schema_migrations VALUES (17, '0017_traceparent', '1f7dc1470e33f520ee2fb8bd2b79c5ba68530ea6bf02e55f242c0d44ef059a09', 1795965998976805);
INSERT INTO public.schema_migrations VALUES (18, '0018_failed', '45001fe55d628222ef5907d860ad8d033ea99681905061053fe71545908bf686', 1795965998976805);


--
-- Data for Name: signing_keys; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.signing_keys VALUES ('token', 0, '\x3e917e616e6a2fe2b061421ec11a722f4c45e299a4cf221702ccba119690119a', 1795966001076844);
INSERT INTO public.signing_keys VALUES ('receipt', 0, '\x3a712c0d3031a746e4b2e91d36c98300b44c189717750efe9cb1b9ccd60b366e', 1795966001076844);
INSERT INTO public.signing_keys VALUES ('url', 0, '\xb451cd41d8e7e43761ba0163788dc10290783d8dd4e830a215921568f07ce0e9', 1795966001076844);


--
-- Data for Name: store_facts; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.store_facts VALUES ('blob_folder', '21075bd2-d4fe-4250-94cb-a5629f1a5764');


--
-- Data for Name: uploads; Type: TABLE DATA; Schema: public; Owner: -
--



--
-- Data for Name: webhook_deliveries; Type: TABLE DATA; Schema: public; Owner: -
--



--
-- Name: message_events_seq; Type: SEQUENCE SET; Schema: public; Owner: -
--

SELECT pg_catalog.setval('public.message_events_seq', 6, true);


--
-- Name: queue_seq_seq; Type: SEQUENCE SET; Schema: public; Owner: -
--

SELECT pg_catalog.setval('public.queue_seq_seq', 7, true);


--
-- Name: audit audit_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.audit
    ADD CONSTRAINT audit_pkey PRIMARY KEY (seq);


--
-- Name: blocked_groups blocked_groups_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.blocked_groups
    ADD CONSTRAINT blocked_groups_pkey PRIMARY KEY (job, grp);


--
-- Name: clients clients_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.clients
    ADD CONSTRAINT clients_pkey PRIMARY KEY (name_key);


--
-- Name: console_links console_links_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.console_links
    ADD CONSTRAINT console_links_pkey PRIMARY KEY (digest);


--
-- Name: console_sessions console_sessions_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.console_sessions
    ADD CONSTRAINT console_sessions_pkey PRIMARY KEY (digest);


--
-- Name: dmf_blobs dmf_blobs_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.dmf_blobs
    ADD CONSTRAINT dmf_blobs_pkey PRIMARY KEY (path);


--
-- Name: dmf_blocks dmf_blocks_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.dmf_blocks
    ADD CONSTRAINT dmf_blocks_pkey PRIMARY KEY (path, block);


--
-- Name: error_groups error_groups_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.error_groups
    ADD CONSTRAINT error_groups_pkey PRIMARY KEY (message, code, field);


--
-- Name: execution_entities execution_entities_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.execution_entities
    ADD CONSTRAINT execution_entities_pkey PRIMARY KEY (execution, entity_no);


--
-- Name: executions executions_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.executions
    ADD CONSTRAINT executions_pkey PRIMARY KEY (id);


--
-- Name: export_deliveries export_deliveries_message_destination_key; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.export_deliveries
    ADD CONSTRAINT export_deliveries_message_destination_key UNIQUE (message, destination);


--
-- Name: export_deliveries export_deliveries_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.export_deliveries
    ADD CONSTRAINT export_deliveries_pkey PRIMARY KEY (id);


--
-- Name: export_messages export_messages_message_key; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.export_messages
    ADD CONSTRAINT export_messages_message_key UNIQUE (message);


--
-- Name: export_messages export_messages_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.export_messages
    ADD CONSTRAINT export_messages_pkey PRIMARY KEY (job, due_at, part);


--
-- Name: export_positions export_positions_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.export_positions
    ADD CONSTRAINT export_positions_pkey PRIMARY KEY (job, entity, number);


--
-- Name: exported_packages exported_packages_job_due_at_key; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.exported_packages
    ADD CONSTRAINT exported_packages_job_due_at_key UNIQUE (job, due_at);


--
-- Name: exported_packages exported_packages_path_key; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.exported_packages
    ADD CONSTRAINT exported_packages_path_key UNIQUE (path);


--
-- Name: exported_packages exported_packages_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.exported_packages
    ADD CONSTRAINT exported_packages_pkey PRIMARY KEY (execution);


--
-- Name: identities identities_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.identities
    ADD CONSTRAINT identities_pkey PRIMARY KEY (job, kind, key);


--
-- Name: message_events message_events_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.message_events
    ADD CONSTRAINT message_events_pkey PRIMARY KEY (message, seq);


--
-- Name: message_events_default message_events_default_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.message_events_default
    ADD CONSTRAINT message_events_default_pkey PRIMARY KEY (message, seq);


--
-- Name: message_webhooks message_webhooks_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.message_webhooks
    ADD CONSTRAINT message_webhooks_pkey PRIMARY KEY (message);


--
-- Name: messages messages_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.messages
    ADD CONSTRAINT messages_pkey PRIMARY KEY (id);


--
-- Name: messages_default messages_default_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.messages_default
    ADD CONSTRAINT messages_default_pkey PRIMARY KEY (id);


--
-- Name: missed_occurrences missed_occurrences_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.missed_occurrences
    ADD CONSTRAINT missed_occurrences_pkey PRIMARY KEY (job, first_due);


--
-- Name: occurrences occurrences_execution_key; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.occurrences
    ADD CONSTRAINT occurrences_execution_key UNIQUE (execution);


--
-- Name: occurrences occurrences_message_key; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.occurrences
    ADD CONSTRAINT occurrences_message_key UNIQUE (message);


--
-- Name: occurrences occurrences_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.occurrences
    ADD CONSTRAINT occurrences_pkey PRIMARY KEY (job, due_at);


--
-- Name: outcomes outcomes_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.outcomes
    ADD CONSTRAINT outcomes_pkey PRIMARY KEY (message);


--
-- Name: outcomes_default outcomes_default_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.outcomes_default
    ADD CONSTRAINT outcomes_default_pkey PRIMARY KEY (message);


--
-- Name: package_requests package_requests_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.package_requests
    ADD CONSTRAINT package_requests_pkey PRIMARY KEY (execution);


--
-- Name: payloads payloads_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.payloads
    ADD CONSTRAINT payloads_pkey PRIMARY KEY (message);


--
-- Name: payloads_default payloads_default_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.payloads_default
    ADD CONSTRAINT payloads_default_pkey PRIMARY KEY (message);


--
-- Name: project_changes project_changes_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.project_changes
    ADD CONSTRAINT project_changes_pkey PRIMARY KEY (only_row);


--
-- Name: projects projects_name_key_key; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.projects
    ADD CONSTRAINT projects_name_key_key UNIQUE (name_key);


--
-- Name: projects projects_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.projects
    ADD CONSTRAINT projects_pkey PRIMARY KEY (id);


--
-- Name: queue_depths queue_depths_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.queue_depths
    ADD CONSTRAINT queue_depths_pkey PRIMARY KEY (job, origin, second);


--
-- Name: queue queue_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.queue
    ADD CONSTRAINT queue_pkey PRIMARY KEY (message);


--
-- Name: record_errors record_errors_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.record_errors
    ADD CONSTRAINT record_errors_pkey PRIMARY KEY (message, entity_no, record, ordinal);


--
-- Name: repairs repairs_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.repairs
    ADD CONSTRAINT repairs_pkey PRIMARY KEY (message, entity_no, record);


--
-- Name: schedules schedules_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.schedules
    ADD CONSTRAINT schedules_pkey PRIMARY KEY (job);


--
-- Name: schema_migrations schema_migrations_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.schema_migrations
    ADD CONSTRAINT schema_migrations_pkey PRIMARY KEY (number);


--
-- Name: signing_keys signing_keys_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.signing_keys
    ADD CONSTRAINT signing_keys_pkey PRIMARY KEY (purpose, slot);


--
-- Name: store_facts store_facts_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.store_facts
    ADD CONSTRAINT store_facts_pkey PRIMARY KEY (name);


--
-- Name: uploads uploads_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.uploads
    ADD CONSTRAINT uploads_pkey PRIMARY KEY (key);


--
-- Name: webhook_deliveries webhook_deliveries_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.webhook_deliveries
    ADD CONSTRAINT webhook_deliveries_pkey PRIMARY KEY (id);


--
-- Name: audit_by_action; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX audit_by_action ON public.audit USING btree (action, at, seq);


--
-- Name: audit_by_actor; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX audit_by_actor ON public.audit USING btree (actor, at, seq);


--
-- Name: audit_by_target; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX audit_by_target ON public.audit USING btree (target, at, seq);


--
-- Name: audit_by_time; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX audit_by_time ON public.audit USING btree (at, seq);


--
-- Name: console_sessions_by_age; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX console_sessions_by_age ON public.console_sessions USING btree (expires_at);


--
-- Name: console_sessions_of; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX console_sessions_of ON public.console_sessions USING btree (client);


--
-- Name: dmf_blobs_direct; Type: INDEX; Schema: public; Owner: -
--

CREATE UNIQUE INDEX dmf_blobs_direct ON public.dmf_blobs USING btree (direct_key) WHERE (direct_key IS NOT NULL);


--
-- Name: dmf_blobs_expiring; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX dmf_blobs_expiring ON public.dmf_blobs USING btree (expires_at);


--
-- Name: executions_ended; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX executions_ended ON public.executions USING btree (finished_at) WHERE (finished_at IS NOT NULL);


--
-- Name: export_deliveries_ended; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX export_deliveries_ended ON public.export_deliveries USING btree (state, finished_at) WHERE (state <> 'pending'::text);


--
-- Name: export_deliveries_listed; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX export_deliveries_listed ON public.export_deliveries USING btree (job, id);


--
-- Name: export_deliveries_pending; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX export_deliveries_pending ON public.export_deliveries USING btree (lane, due_at) WHERE (state = 'pending'::text);


--
-- Name: identities_by_age; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX identities_by_age ON public.identities USING btree (created_at);


--
-- Name: message_webhooks_by_age; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX message_webhooks_by_age ON public.message_webhooks USING btree (created_at);


--
-- Name: messages_children; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX messages_children ON ONLY public.messages USING btree (parent, id) WHERE (parent IS NOT NULL);


--
-- Name: messages_listed; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX messages_listed ON ONLY public.messages USING btree (job, id) WHERE (bytes >= 0);


--
-- Name: messages_default_job_id_idx; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX messages_default_job_id_idx ON public.messages_default USING btree (job, id) WHERE (bytes >= 0);


--
-- Name: messages_default_parent_id_idx; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX messages_default_parent_id_idx ON public.messages_default USING btree (parent, id) WHERE (parent IS NOT NULL);


--
-- Name: occurrences_again; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX occurrences_again ON public.occurrences USING btree (due_at, job) WHERE ((state = 'due'::text) AND (attempt > 0));


--
-- Name: occurrences_backfill; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX occurrences_backfill ON public.occurrences USING btree (due_at, job) WHERE ((state = 'due'::text) AND (origin = 'backfill'::text));


--
-- Name: occurrences_cancelled; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX occurrences_cancelled ON public.occurrences USING btree (job) WHERE (cancel_asked IS NOT NULL);


--
-- Name: occurrences_due; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX occurrences_due ON public.occurrences USING btree (job, due_at) WHERE (state = 'due'::text);


--
-- Name: occurrences_failed; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX occurrences_failed ON public.occurrences USING btree (finished_at) WHERE (state = 'failed'::text);


--
-- Name: occurrences_finished; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX occurrences_finished ON public.occurrences USING btree (finished_at) WHERE (finished_at IS NOT NULL);


--
-- Name: occurrences_running; Type: INDEX; Schema: public; Owner: -
--

CREATE UNIQUE INDEX occurrences_running ON public.occurrences USING btree (job) WHERE (state = 'running'::text);


--
-- Name: occurrences_waiting; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX occurrences_waiting ON public.occurrences USING btree (due_at, job) WHERE ((state = 'due'::text) AND (origin <> 'backfill'::text));


--
-- Name: outcomes_troubled_lately; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX outcomes_troubled_lately ON ONLY public.outcomes USING btree (job, message) WHERE (status <> ALL (ARRAY['Acked'::text, 'Processed'::text]));


--
-- Name: outcomes_default_job_message_idx; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX outcomes_default_job_message_idx ON public.outcomes_default USING btree (job, message) WHERE (status <> ALL (ARRAY['Acked'::text, 'Processed'::text]));


--
-- Name: outcomes_troubled; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX outcomes_troubled ON ONLY public.outcomes USING btree (job, status, message) WHERE (status <> ALL (ARRAY['Acked'::text, 'Processed'::text]));


--
-- Name: outcomes_default_job_status_message_idx; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX outcomes_default_job_status_message_idx ON public.outcomes_default USING btree (job, status, message) WHERE (status <> ALL (ARRAY['Acked'::text, 'Processed'::text]));


--
-- Name: package_requests_by_message; Type: INDEX; Schema: public; Owner: -
--

CREATE UNIQUE INDEX package_requests_by_message ON public.package_requests USING btree (message) WHERE (message IS NOT NULL);


--
-- Name: queue_behind; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX queue_behind ON public.queue USING btree (job, grp, returned, seq) WHERE ((grp IS NOT NULL) AND (wait = 'behind'::text));


--
-- Name: queue_delayed; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX queue_delayed ON public.queue USING btree (not_before) WHERE ((wait = 'delayed'::text) AND (attempt >= 0));


--
-- Name: queue_expires; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX queue_expires ON public.queue USING btree (expires_at) WHERE ((expires_at IS NOT NULL) AND (attempt >= 0));


--
-- Name: queue_front; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX queue_front ON public.queue USING btree (job, grp, returned, seq) WHERE ((grp IS NOT NULL) AND (wait <> 'behind'::text));


--
-- Name: queue_ready; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX queue_ready ON public.queue USING btree (job, lane, rank, seq) WHERE (wait = 'ready'::text);


--
-- Name: queue_redeliver; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX queue_redeliver ON public.queue USING btree (redeliver_at) WHERE ((redeliver_at IS NOT NULL) AND (attempt >= 0));


--
-- Name: queue_worked; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX queue_worked ON public.queue USING btree (status, job) WHERE ((status = ANY (ARRAY['PreProcessing'::text, 'Processing'::text])) AND (attempt >= 0));


--
-- Name: repairs_by_child; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX repairs_by_child ON public.repairs USING btree (child);


--
-- Name: schedules_paused; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX schedules_paused ON public.schedules USING btree (job) WHERE ((paused_at IS NOT NULL) AND (resumed_at IS NULL));


--
-- Name: uploads_unused; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX uploads_unused ON public.uploads USING btree (state, beat_at) WHERE (state <> 'used'::text);


--
-- Name: uploads_used; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX uploads_used ON public.uploads USING btree (created_at) WHERE (state = 'used'::text);


--
-- Name: webhook_deliveries_by_job_and_state; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX webhook_deliveries_by_job_and_state ON public.webhook_deliveries USING btree (job, state, id);


--
-- Name: webhook_deliveries_by_state; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX webhook_deliveries_by_state ON public.webhook_deliveries USING btree (state, id);


--
-- Name: webhook_deliveries_ended; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX webhook_deliveries_ended ON public.webhook_deliveries USING btree (state, finished_at) WHERE (state <> 'pending'::text);


--
-- Name: webhook_deliveries_listed; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX webhook_deliveries_listed ON public.webhook_deliveries USING btree (job, id);


--
-- Name: webhook_deliveries_pending; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX webhook_deliveries_pending ON public.webhook_deliveries USING btree (destination, due_at) WHERE (state = 'pending'::text);


--
-- Name: message_events_default_pkey; Type: INDEX ATTACH; Schema: public; Owner: -
--

ALTER INDEX public.message_events_pkey ATTACH PARTITION public.message_events_default_pkey;


--
-- Name: messages_default_job_id_idx; Type: INDEX ATTACH; Schema: public; Owner: -
--

ALTER INDEX public.messages_listed ATTACH PARTITION public.messages_default_job_id_idx;


--
-- Name: messages_default_parent_id_idx; Type: INDEX ATTACH; Schema: public; Owner: -
--

ALTER INDEX public.messages_children ATTACH PARTITION public.messages_default_parent_id_idx;


--
-- Name: messages_default_pkey; Type: INDEX ATTACH; Schema: public; Owner: -
--

ALTER INDEX public.messages_pkey ATTACH PARTITION public.messages_default_pkey;


--
-- Name: outcomes_default_job_message_idx; Type: INDEX ATTACH; Schema: public; Owner: -
--

ALTER INDEX public.outcomes_troubled_lately ATTACH PARTITION public.outcomes_default_job_message_idx;


--
-- Name: outcomes_default_job_status_message_idx; Type: INDEX ATTACH; Schema: public; Owner: -
--

ALTER INDEX public.outcomes_troubled ATTACH PARTITION public.outcomes_default_job_status_message_idx;


--
-- Name: outcomes_default_pkey; Type: INDEX ATTACH; Schema: public; Owner: -
--

ALTER INDEX public.outcomes_pkey ATTACH PARTITION public.outcomes_default_pkey;


--
-- Name: payloads_default_pkey; Type: INDEX ATTACH; Schema: public; Owner: -
--

ALTER INDEX public.payloads_pkey ATTACH PARTITION public.payloads_default_pkey;


--
-- Name: audit audit_is_not_changed; Type: TRIGGER; Schema: public; Owner: -
--

CREATE TRIGGER audit_is_not_changed BEFORE DELETE OR UPDATE ON public.audit FOR EACH ROW EXECUTE FUNCTION public.audit_is_append_only();


--
-- Name: audit audit_is_not_emptied; Type: TRIGGER; Schema: public; Owner: -
--

CREATE TRIGGER audit_is_not_emptied BEFORE TRUNCATE ON public.audit FOR EACH STATEMENT EXECUTE FUNCTION public.audit_is_append_only();


--
-- Name: execution_entities execution_entities_execution_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.execution_entities
    ADD CONSTRAINT execution_entities_execution_fkey FOREIGN KEY (execution) REFERENCES public.executions(id);


--
-- Name: exported_packages exported_packages_execution_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.exported_packages
    ADD CONSTRAINT exported_packages_execution_fkey FOREIGN KEY (execution) REFERENCES public.executions(id) ON DELETE CASCADE;


--
-- Name: occurrences occurrences_execution_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.occurrences
    ADD CONSTRAINT occurrences_execution_fkey FOREIGN KEY (execution) REFERENCES public.executions(id);


--
-- Name: package_requests package_requests_execution_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.package_requests
    ADD CONSTRAINT package_requests_execution_fkey FOREIGN KEY (execution) REFERENCES public.executions(id) ON DELETE CASCADE;


--
-- PostgreSQL database dump complete
--


