PRAGMA foreign_keys=OFF;
BEGIN TRANSACTION;
CREATE TABLE schema_migrations (number bigint not null primary key, name text not null, checksum text not null, applied_at bigint not null);
INSERT INTO schema_migrations VALUES(1,'0001_messages','129dd555ba00d1eb2c22f615798feb8df372a8aaf7a743a967507b995e6643b7',1795966139919684);
INSERT INTO schema_migrations VALUES(2,'0002_executions','7e68137bad92f5d254b445a89a3fd8afafe579853fd982602e64d6a3bbd2a04d',1795966139919684);
INSERT INTO schema_migrations VALUES(3,'0003_schedules','0e5f48725ae86570c940173ae4888837203bd25d534d7282954fb9fe29185640',1795966139919684);
INSERT INTO schema_migrations VALUES(4,'0004_access','5c570faba75c7297b4f139b0b1633de366167c2e402ac1db74b1a735bf9783da',1795966139919684);
INSERT INTO schema_migrations VALUES(5,'0005_webhooks','3ad38a64c834e79171f55e1f6b25b64e2d5d530d0f9d62adc2af5f8002c0fa77',1795966139919684);
INSERT INTO schema_migrations VALUES(6,'0006_schedule_policies','40bf2359c6baf57c9ca18c5de84e7ab07dba4d4d86a8ce3e9a7e7942f581195c',1795966139919684);
INSERT INTO schema_migrations VALUES(7,'0007_error_phases','7a0fe0c5448edde7754b0462cae2f5fb5dce01cc4e65563aeb4c581718461a21',1795966139919684);
INSERT INTO schema_migrations VALUES(8,'0008_export_positions','6c0fd15ba05b6acf10446cbd6314642172a3fbb569c0bf78b920038d83dab51e',1795966139919684);
INSERT INTO schema_migrations VALUES(9,'0009_destinations','038621072a7760805265cd3740af2b0b47cafeacae1ef527ec044b09e5aef5d4',1795966139919684);
INSERT INTO schema_migrations VALUES(10,'0010_dmf_blobs','8cc9eddbede17669a2db1a56ea233405d477a46d30da3bf70eb2e4a50ac3cb22',1795966139919684);
INSERT INTO schema_migrations VALUES(11,'0011_package_requests','4179f7d9bf32af9dffd5aa10f1d1a31a4f1e9eeb86ff41c740e7bd7f2bc98086',1795966139919684);
INSERT INTO schema_migrations VALUES(12,'0012_projects','e84721d2c5fda766198f780fe769a5cb7d2c768fb40448cd44c0bd7eb65da553',1795966139919684);
INSERT INTO schema_migrations VALUES(13,'0013_exported_packages','a4e0c702ddbdc0b63d59bfc5b17c309bde0149669b85488fdbe6690267101b5c',1795966139919684);
INSERT INTO schema_migrations VALUES(14,'0014_collected_by','fb5d6c5e6a57c1077fde4e196c06bb6640af06279a65effc0c59c216206d1fa9',1795966139919684);
INSERT INTO schema_migrations VALUES(15,'0015_console','de5bda6eb1e0d11e31514324352d586fb3cebbf5bcecfd80986733cec8a148be',1795966139919684);
INSERT INTO schema_migrations VALUES(16,'0016_audit','20051243da83ee13bd4213ca31c8b5ebf75e6fe313ee921f61dc4faa6eadb463',1795966139919684);
INSERT INTO schema_migrations VALUES(17,'0017_traceparent','1f7dc1470e33f520ee2fb8bd2b79c5ba68530ea6bf02e55f242c0d44ef059a09',1795966139919684);
INSERT INTO schema_migrations VALUES(18,'0018_failed','45001fe55d628222ef5907d860ad8d033ea99681905061053fe71545908bf686',1795966139919684);
CREATE TABLE messages (
    id BLOB NOT NULL PRIMARY KEY,
    job BLOB NOT NULL,
    direction TEXT NOT NULL CHECK (direction IN ('import', 'export', 'relay')),
    entity TEXT,
    company TEXT,
    external_id TEXT,
    enqueued_by TEXT NOT NULL,
    digest BLOB NOT NULL,
    bytes INTEGER NOT NULL,
    -- NULL: the bytes are in `payloads`.
    blob_key TEXT,
    durability TEXT NOT NULL CHECK (durability IN ('full', 'relaxed')),
    parent BLOB,
    -- Whether a correction counts although it is older than what last wrote its keys.
    forced INTEGER NOT NULL DEFAULT FALSE,
    enqueued_at INTEGER NOT NULL
, traceparent TEXT) STRICT, WITHOUT ROWID;
INSERT INTO messages VALUES(X'01a227ec7ee470d79971e2bec5c82044',X'000000000000400080000000000000e1','import','Parts',NULL,NULL,'keeper',X'e530b626dc79848412dde6d43507d1393158f377206416a2ec46c69de0fcaaff',39,NULL,'full',NULL,0,1795966140132663,NULL);
INSERT INTO messages VALUES(X'01a227ec7f3372a58c9d28948e76b04b',X'000000000000400080000000000000e1','import','Parts',NULL,NULL,'keeper',X'25a52f7068c445de8ba6773abbeadd30783c78242a41d808634304b132c62cc5',19,NULL,'full',NULL,0,1795966140211829,NULL);
INSERT INTO messages VALUES(X'01a227ec7f3a7727b680d5ecbd68ad2a',X'000000000000400080000000000000e3','relay',NULL,NULL,NULL,'keeper',X'3ef25c849197ef76226ed8bb9b8aa4dc0212702980f2eb38b1ab98ee0c9a9647',12,NULL,'full',NULL,0,1795966140218459,NULL);
INSERT INTO messages VALUES(X'01a227ec7f4277f392d694e73c3cad66',X'000000000000400080000000000000e2','export',NULL,NULL,'Parts out 2026-11-29T15-29-00Z.zip','keeper',X'0762e6dfc49a3de9d84e641d69a230c70ec7791d2a4fd8942565a4eb5f6c9557',1699,NULL,'full',NULL,0,1795966140226799,'00-10d42f1663dfbe9daeb9a37a0b9aa788-3cd07799670a75d4-01');
INSERT INTO messages VALUES(X'01a227ec7f437444a75f1495acb281c7',X'000000000000400080000000000000e3','relay',NULL,NULL,NULL,'keeper',X'83c874d33e8bff73caaa762c79cd1ed101d727c7f20fe4972c67e67978292f23',7,NULL,'full',NULL,0,1795966140227828,NULL);
INSERT INTO messages VALUES(X'01a227ec7f4971939cfa90d2afa402a2',X'000000000000400080000000000000e3','relay',NULL,NULL,NULL,'keeper',X'1ef001c44773ada34af4534af34dfedffb7f112e831b0572b0998b6b3e167cca',6,NULL,'full',NULL,0,1795966140233507,NULL);
INSERT INTO messages VALUES(X'01a227ec7f72739eb6720f2a6d8c2481',X'000000000000400080000000000000e3','relay',NULL,NULL,NULL,'keeper',X'7c4a345722b40acbdc121843d43b674e9f7c50201f26b4b915931b4f2a73d3d0',5,NULL,'full',NULL,0,1795966140274472,NULL);
CREATE TABLE payloads (
    message BLOB NOT NULL PRIMARY KEY,
    bytes BLOB NOT NULL
) STRICT;
INSERT INTO payloads VALUES(X'01a227ec7ee470d79971e2bec5c82044',X'706172742c7069656365730a6e61696c2c3530300a73637265772c6d616e790a626f6c742c370a');
INSERT INTO payloads VALUES(X'01a227ec7f3372a58c9d28948e76b04b',X'706172742c7069656365730a6e75742c34300a');
INSERT INTO payloads VALUES(X'01a227ec7f3a7727b680d5ecbd68ad2a',X'61636b6e6f776c6564676564');
INSERT INTO payloads VALUES(X'01a227ec7f4277f392d694e73c3cad66',X'504b0304140008000800000021000000000000000000000000000c0000004d616e69666573742e786d6ced554b6fa33010bee75720ee8d93ae565a5584aadb2655a4a49b2d69d51e679d81583536b5c74df2ef57405c200fa9873dee0dbec7300fe389aeb7b90c3ed058a1d5281cf60761808aeb9550d92874945efc08afe35e740704735090618e8a16c0df20c3392891a2a5609b4b6547e19aa8b862ccf235e660fbb9e0465b9d529feb9cad760a72c12dbb1c0cbfb3c19075438675902bf11966b3d9f437dffada64ec723018b297f92ca9225f08650914c730ee05417487a950828456f746bbe201728c1760c806da51c44ed1b5cd72238a92e8ca1bb894ed4b1d2b12b49b094b255ada4f35a4569554adaab30327e911538376bddc15184f9c940b67d7556e87e4a74f58f823317ed011f3cf9eab3f3387a2c9a78b3758104437c6c06eaa56b88d07116bbdb545b5752250aee2c5cde332626de48cf256abfdc9291309c495127214927118b28e676a6f1ce97db555495de4587b8f0a0d10ae5aea06ebeaf7519e413a1cbf3b900f4ecabdef34d7f63f595ce2967e3b902215682ae311d876bccc67755b0a301495e7f2a04bbe799d49fcb3e94cc7b7e3e4ff7cbe321f811ced1727d482dabfd5bef7cdade275fe2269899606944db5c9cfff0ed178cb51266b442a03b471e4aebc759e94a07818b12ee0651310b2c3fc526363747d6acf926df70c3f501eba3aa0574f55e16822242e80d675f17d6e3f22d625bcbc8a315547859cc4bde9d1a99fce0a85d6ce742678fc5a0eec083d217f06295650ddd3879e16e58d09e485449f73d3f604df1d2a8e5355a559e67b08f5bcf44d140941265456f5adfdfea9d1ce709c689303c5b7c973c43a88972dc16448f5a1f1a7aa83796153494240ced6a51ea1f54a3ad8a8277752c44e2cb4334ebfdee3de5f504b070892abc3907c02000026080000504b030414000800080000002100000000000000000000000000110000005061636b6167654865616465722e786d6c5d91cd6ac3301084ef7e0aa37b24dba55082a250306d0f3504124aae8bbc7696589291943ae9d317e78f38c7dd1dbe1966e5f268baf4177d2067172ce7194bd16a57936d17ec109bd91b5baa449610a1020b2d1ab471057a0f2d7e21d4e8d3a3e96c58b05d8cfd5c88a07768207043dabbe09ac8b533a23e5930a48328b2fc5564b99802d90532a73b6618063ebc70e75b5164592eb6d5f7fa4c9e910d11ac46a69234952506eda98fe4ac5a818f21758728c5e37a945560a9c11037a71e55758f565e63f1f72dfff06070707ecf37ce75814f13f2357a828efe60643e1daf7ddc4ca498d88dfe57c5792eb1214b23e6d3bb432fc5e3f141fc73f98a2aee8adb26914ffd4d1ea2927f504b07084759cd3d09010000d6010000504b03042d0008000800000021000000000000000000000000000900140050617274732e63737601001000000000000000000000000000000000002b482c2ad129c84c4d4e2de6e54acacf29d131e7e5ca4bccccd1313530e0e50200504b0708454c2c7b21000000000000001f00000000000000504b0304140008000800000021000000000000000000000000000d0000007472616e736869702e6a736f6e4d4e5d6bc230147defafb8e4d5559adb35b4011f36d860c38789c3c286484ca3cbd05592e828e27f1f49bbe87d38c93d1fc9392700e4bb5d130ee44d1867a13d3a72e759219d3e69d7ad74e3d56c9834c0bd87f27fed47611f6c8e6a259ccf60862ca534c5ea9d161c2b9e6563a445ceaa8fdebad13b650987cf0400e01c70a063a3b1b4a7e00ed2ba732191d348357aab6cf8cf7e89140b36e1ac7e303bf63a9a3ecab97d396029e64f8bd974914b53e9dffdb3d81e5cbd9f95a296137e7d5cfd38edf44da3db56574717bbc568108d92ad697c1a237d196ecb70fa6d995cfe00504b07089c67a430e100000076010000504b010214031400080008000000210092abc3907c020000260800000c0000000000000000000000a481000000004d616e69666573742e786d6c504b01021403140008000800000021004759cd3d09010000d6010000110000000000000000000000a481b60200005061636b6167654865616465722e786d6c504b01022d032d000800080000002100454c2c7bffffffffffffffff090014000000000000000000a481fe03000050617274732e637376010010001f000000000000002100000000000000504b01021403140008000800000021009c67a430e1000000760100000d0000000000000000000000a481720400007472616e736869702e6a736f6e504b05060000000004000400ff0000008e0500000000');
INSERT INTO payloads VALUES(X'01a227ec7f437444a75f1495acb281c7',X'72656675736564');
INSERT INTO payloads VALUES(X'01a227ec7f4971939cfa90d2afa402a2',X'6c6561736564');
INSERT INTO payloads VALUES(X'01a227ec7f72739eb6720f2a6d8c2481',X'7761697473');
CREATE TABLE queue (
    -- The order of arrival, kept through every retry and redrive. `AUTOINCREMENT`: no number is given twice.
    seq INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    message BLOB NOT NULL UNIQUE,
    job BLOB NOT NULL,
    -- Waiting messages go by rank, then by seq: the time of enqueuing, moved by the priority. Lower is sooner.
    rank INTEGER NOT NULL,
    -- Lanes of one job take turns: companies, and small files beside large ones.
    lane TEXT NOT NULL,
    -- What must be kept in order: of one group, only the head is ever `ready` or `delayed`.
    grp TEXT,
    status TEXT NOT NULL CHECK (status IN ('Enqueued', 'Dequeued', 'Downloaded', 'PreProcessing', 'Processing')),
    -- Who asked for it to be cancelled while a worker has it.
    cancel_asked TEXT,
    -- What an `Enqueued` message waits for: its turn, its time, or those before it in its group. Leased, it is `out`.
    wait TEXT NOT NULL CHECK (wait IN ('ready', 'delayed', 'behind', 'out')),
    epoch INTEGER NOT NULL DEFAULT 0,
    attempt INTEGER NOT NULL DEFAULT 0,
    -- Claims and failed deliveries since the last one that got anywhere: what bounds retries.
    stalled INTEGER NOT NULL DEFAULT 0,
    -- Deliveries after which it is a dead letter; NULL: never.
    max_deliveries INTEGER,
    -- Whether its group waits for an operator once it is a dead letter.
    block_on_dead_letter INTEGER NOT NULL DEFAULT FALSE,
    -- Whether it had ended before: of its group it may be older than what went since.
    returned INTEGER NOT NULL DEFAULT FALSE,
    owner TEXT,
    -- End of a worker's lease, which heartbeats extend.
    lease_until INTEGER,
    -- End of a dequeuer's lease.
    redeliver_at INTEGER,
    not_before INTEGER,
    expires_at INTEGER,
    dequeued_at INTEGER,
    previous_dequeued_at INTEGER,
    started_at INTEGER,
    execution TEXT,
    first_error TEXT,
    last_error TEXT,
    CHECK ((status = 'Enqueued') = (wait <> 'out'))
) STRICT;
INSERT INTO queue VALUES(2,X'01a227ec7f3372a58c9d28948e76b04b',X'000000000000400080000000000000e1',1795966140211829,'',NULL,'Enqueued',NULL,'ready',0,0,0,NULL,0,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO queue VALUES(4,X'01a227ec7f4277f392d694e73c3cad66',X'000000000000400080000000000000e2',1795966140226799,'',NULL,'Enqueued',NULL,'ready',1,0,0,10,0,0,NULL,NULL,NULL,NULL,NULL,1795966140340432,NULL,NULL,'Parts out-2026-11-29T15:29:00-d348912d172544e2b249717d0303b2b4',NULL,NULL);
INSERT INTO queue VALUES(6,X'01a227ec7f4971939cfa90d2afa402a2',X'000000000000400080000000000000e3',1795966140233507,'',NULL,'Dequeued',NULL,'out',1,1,0,10,0,0,'keeper',NULL,1795966200327797,NULL,NULL,1795966140327797,NULL,NULL,NULL,NULL,NULL);
INSERT INTO queue VALUES(7,X'01a227ec7f72739eb6720f2a6d8c2481',X'000000000000400080000000000000e3',1795966140274472,'',NULL,'Enqueued',NULL,'ready',0,0,0,10,0,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
CREATE TABLE queue_depths (
    job BLOB NOT NULL,
    -- A lane of one process; 0: what was added up.
    origin INTEGER NOT NULL,
    -- Since the process started, so that no row gathers many dead versions.
    second INTEGER NOT NULL,
    waiting INTEGER NOT NULL,
    leased INTEGER NOT NULL,
    PRIMARY KEY (job, origin, second)
) STRICT, WITHOUT ROWID;
INSERT INTO queue_depths VALUES(X'000000000000400080000000000000e1',1653123462792085504,0,1,0);
INSERT INTO queue_depths VALUES(X'000000000000400080000000000000e2',1653123462792085504,0,1,0);
INSERT INTO queue_depths VALUES(X'000000000000400080000000000000e3',1653123462792085504,0,1,1);
CREATE TABLE blocked_groups (
    job BLOB NOT NULL,
    grp TEXT NOT NULL,
    message BLOB NOT NULL,
    blocked_at INTEGER NOT NULL,
    PRIMARY KEY (job, grp)
) STRICT;
CREATE TABLE identities (
    job BLOB NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('key', 'external', 'content')),
    key TEXT NOT NULL,
    message BLOB NOT NULL,
    digest BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (job, kind, key)
) STRICT;
CREATE TABLE uploads (
    key TEXT NOT NULL PRIMARY KEY,
    state TEXT NOT NULL CHECK (state IN ('open', 'used', 'dead')),
    -- The message that names it, once one does.
    message BLOB,
    owner TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    beat_at INTEGER NOT NULL
) STRICT;
CREATE TABLE executions (
    id TEXT NOT NULL PRIMARY KEY,
    job BLOB NOT NULL,
    message BLOB,
    started_at INTEGER NOT NULL,
    finished_at INTEGER
) STRICT;
INSERT INTO executions VALUES('Parts in-2026-11-29T15:29:00-a0952a185f904e9cb6c6b16be3a542f2',X'000000000000400080000000000000e1',X'01a227ec7ee470d79971e2bec5c82044',1795966140143455,1795966140193958);
INSERT INTO executions VALUES('Parts out-2026-11-29T15:29:00-d348912d172544e2b249717d0303b2b4',X'000000000000400080000000000000e2',X'01a227ec7f4277f392d694e73c3cad66',1795966140217225,1795966140226799);
CREATE TABLE execution_entities (
    execution TEXT NOT NULL REFERENCES executions (id),
    entity_no INTEGER NOT NULL,
    label TEXT NOT NULL,
    company TEXT,
    staging_status TEXT NOT NULL,
    staging_records INTEGER NOT NULL,
    staging_errors INTEGER NOT NULL,
    target_status TEXT NOT NULL,
    records_read INTEGER NOT NULL,
    inserted INTEGER NOT NULL,
    updated INTEGER NOT NULL,
    unchanged INTEGER NOT NULL,
    deleted INTEGER NOT NULL,
    rejected INTEGER NOT NULL,
    skipped INTEGER NOT NULL,
    target_errors INTEGER NOT NULL,
    truncated INTEGER NOT NULL DEFAULT 0,
    started_at INTEGER,
    finished_at INTEGER,
    -- A JSON list of sentences.
    warnings TEXT NOT NULL DEFAULT '[]',
    PRIMARY KEY (execution, entity_no)
) STRICT;
INSERT INTO execution_entities VALUES('Parts in-2026-11-29T15:29:00-a0952a185f904e9cb6c6b16be3a542f2',0,'Parts',NULL,'Error',3,1,'Finished',3,2,0,0,0,1,0,0,0,1795966140143455,1795966140190073,'[]');
INSERT INTO execution_entities VALUES('Parts out-2026-11-29T15:29:00-d348912d172544e2b249717d0303b2b4',0,'Parts',NULL,'Finished',2,0,'Finished',2,2,0,0,0,0,0,0,0,NULL,1795966140226799,'[]');
CREATE TABLE record_errors (
    message BLOB NOT NULL,
    entity_no INTEGER NOT NULL,
    record INTEGER NOT NULL,
    ordinal INTEGER NOT NULL,
    origin_message BLOB,
    origin_entity_no INTEGER,
    origin_record INTEGER,
    line INTEGER NOT NULL,
    byte_start INTEGER NOT NULL,
    byte_end INTEGER NOT NULL,
    column_no INTEGER,
    field TEXT,
    code TEXT NOT NULL,
    value TEXT,
    reason TEXT NOT NULL, by_target INTEGER NOT NULL DEFAULT FALSE,
    PRIMARY KEY (message, entity_no, record, ordinal)
) STRICT;
INSERT INTO record_errors VALUES(X'01a227ec7ee470d79971e2bec5c82044',0,2,0,NULL,NULL,NULL,3,21,32,2,'pieces','invalid_int','many','`many` is not a whole number: write digits only, e.g. 12 or -12',0);
CREATE TABLE error_groups (
    message BLOB NOT NULL,
    code TEXT NOT NULL,
    field TEXT NOT NULL,
    errors INTEGER NOT NULL,
    first_entity_no INTEGER NOT NULL,
    first_record INTEGER NOT NULL,
    first_ordinal INTEGER NOT NULL, distinct_values INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (message, code, field)
) STRICT;
INSERT INTO error_groups VALUES(X'01a227ec7ee470d79971e2bec5c82044','invalid_int','pieces',1,0,2,0,1);
CREATE TABLE repairs (
    message BLOB NOT NULL,
    entity_no INTEGER NOT NULL,
    record INTEGER NOT NULL,
    child BLOB NOT NULL,
    PRIMARY KEY (message, entity_no, record)
) STRICT;
CREATE TABLE schedules (
    job BLOB NOT NULL PRIMARY KEY,
    -- Cron and zone that this was evaluated under: another pattern has no past.
    pattern TEXT NOT NULL,
    evaluated_to INTEGER NOT NULL
, paused_at INTEGER, paused_by TEXT, pause_note TEXT, resumed_at INTEGER, resumed_by TEXT, resumed_missed TEXT CHECK (resumed_missed IN ('skip', 'once', 'all'))) STRICT;
INSERT INTO schedules VALUES(X'000000000000400080000000000000e1','',1795966140207809,1795966140207809,'keeper','until the new version',NULL,NULL,NULL);
CREATE TABLE clients (
    name TEXT NOT NULL,
    -- The name in lower case, by the program's rules: the databases' own differ beyond ASCII.
    name_key TEXT NOT NULL PRIMARY KEY,
    secret_hash TEXT NOT NULL,
    role TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    revoked_at INTEGER
) STRICT;
INSERT INTO clients VALUES('keeper','keeper','$argon2id$v=19$m=4096,t=1,p=1$Ovk1yDmz/qfw+JBvCV4ytQ$Il+oLfbraj1vrlGkpAj/JXh0n+ScZi4+fA+hTHxiCYI','admin',1795966139916274,NULL);
CREATE TABLE store_facts (
    name TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
) STRICT;
CREATE TABLE signing_keys (
    purpose TEXT NOT NULL CHECK (purpose IN ('token', 'receipt', 'url')),
    slot INTEGER NOT NULL CHECK (slot IN (0, 1)),
    secret BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (purpose, slot)
) STRICT;
INSERT INTO signing_keys VALUES('token',0,X'4f9ac552d18e654bca1c41e84a715269c761e6678d34e5501ac97d22058e823c',1795966139979034);
INSERT INTO signing_keys VALUES('receipt',0,X'00ed7021f9cc3bb45726432deba0a675453d3268c449853e3b41346244ac7fb6',1795966139979034);
INSERT INTO signing_keys VALUES('url',0,X'7fa7a9231eac38ad26a4f06c45d43854476bde44d534c952d2bf5ed6f06c56c6',1795966139979034);
CREATE TABLE webhook_deliveries (
    id BLOB NOT NULL PRIMARY KEY,
    job BLOB NOT NULL,
    message BLOB,
    event TEXT NOT NULL CHECK (event IN ('message.finished', 'ping')),
    url TEXT NOT NULL,
    -- Host and port of the URL: what shares a bound on attempts at once.
    destination TEXT NOT NULL,
    -- The bytes that are signed and sent: every attempt sends the same.
    body TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('pending', 'delivered', 'dead')),
    epoch INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    -- Who sends it just now.
    owner TEXT,
    -- When it may be claimed: for the next attempt, or because the lease of the one under way ends.
    due_at INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    finished_at INTEGER,
    last_at INTEGER,
    -- HTTP status of the last answer; NULL with a `last_at`: none came.
    last_status INTEGER,
    last_detail TEXT
) STRICT;
CREATE TABLE message_webhooks (
    message BLOB NOT NULL PRIMARY KEY,
    url TEXT NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS "occurrences" (
    job BLOB NOT NULL,
    due_at INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('due', 'running', 'done', 'skipped', 'failed', 'cancelled')),
    triggered_by TEXT NOT NULL,
    epoch INTEGER NOT NULL DEFAULT 0,
    attempt INTEGER NOT NULL DEFAULT 0,
    owner TEXT,
    lease_until INTEGER,
    not_before INTEGER,
    execution TEXT UNIQUE REFERENCES executions (id),
    message BLOB UNIQUE,
    records INTEGER,
    note TEXT,
    finished_at INTEGER,
    origin TEXT NOT NULL DEFAULT 'schedule' CHECK (origin IN ('schedule', 'run', 'backfill')),
    -- Why skipped or cancelled.
    reason TEXT CHECK (reason IN ('missed', 'paused', 'overlap', 'calendar')),
    -- What whoever asked for it said.
    comment TEXT,
    -- Runs although the job is paused.
    forced INTEGER NOT NULL DEFAULT FALSE,
    -- Its worker is to stop it, and why.
    cancel_asked TEXT, started_at INTEGER, written_at INTEGER, stored_at INTEGER,
    PRIMARY KEY (job, due_at)
) STRICT;
INSERT INTO occurrences VALUES(X'000000000000400080000000000000e2',1795966140215369,'done','keeper',1,1,NULL,NULL,NULL,'Parts out-2026-11-29T15:29:00-d348912d172544e2b249717d0303b2b4',X'01a227ec7f4277f392d694e73c3cad66',2,NULL,1795966140226799,'run',NULL,NULL,0,NULL,1795966140217225,1795966140226352,1795966140226745);
CREATE TABLE missed_occurrences (
    job BLOB NOT NULL,
    first_due INTEGER NOT NULL,
    last_due INTEGER NOT NULL,
    occurrences INTEGER NOT NULL,
    reason TEXT NOT NULL CHECK (reason IN ('missed', 'paused', 'overlap', 'calendar')),
    note TEXT NOT NULL,
    recorded_at INTEGER NOT NULL,
    PRIMARY KEY (job, first_due)
) STRICT;
CREATE TABLE export_positions (
    job BLOB NOT NULL,
    entity TEXT NOT NULL,
    number INTEGER NOT NULL,
    -- The run that took it.
    due_at INTEGER,
    -- NULL: everything was exported.
    from_position TEXT,
    -- NULL: the next run exports everything.
    to_position TEXT,
    state TEXT NOT NULL CHECK (state IN ('queued', 'delivered', 'lost', 'recovered', 'nothing', 'rewound')),
    note TEXT,
    taken_at INTEGER NOT NULL,
    PRIMARY KEY (job, entity, number)
) STRICT, WITHOUT ROWID;
CREATE TABLE export_messages (
    job BLOB NOT NULL,
    due_at INTEGER NOT NULL,
    part INTEGER NOT NULL,
    message BLOB NOT NULL UNIQUE,
    PRIMARY KEY (job, due_at, part)
) STRICT, WITHOUT ROWID;
INSERT INTO export_messages VALUES(X'000000000000400080000000000000e2',1795966140215369,0,X'01a227ec7f4277f392d694e73c3cad66');
CREATE TABLE export_deliveries (
    id BLOB NOT NULL PRIMARY KEY,
    job BLOB NOT NULL,
    message BLOB NOT NULL,
    -- Name of the destination; what it is says the job's file.
    destination TEXT NOT NULL,
    -- Host and port, bucket or folder: what shares a bound on attempts at once.
    lane TEXT NOT NULL,
    -- Where below the destination's URL; every attempt sends there.
    path TEXT,
    -- The message is acknowledged once every delivery of it that says so has arrived.
    acknowledges INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('pending', 'delivered', 'failed')),
    epoch INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    -- Who sends it just now.
    owner TEXT,
    -- When it may be claimed: for the next attempt, or because the lease of the one under way ends.
    due_at INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    finished_at INTEGER,
    last_at INTEGER,
    -- HTTP status of the last answer; NULL with a `last_at`: none came.
    last_status INTEGER,
    last_detail TEXT,
    UNIQUE (message, destination)
) STRICT;
CREATE TABLE dmf_blobs (
    -- container/name, as it follows /dmf/.
    path TEXT NOT NULL PRIMARY KEY,
    -- The client that asked for the link.
    client TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    -- From then on it is not there; housekeeping removes it.
    expires_at INTEGER NOT NULL,
    -- The content: where it lies and what it is. All of them NULL: there is none. Another content has another key.
    key TEXT,
    bytes INTEGER,
    digest BLOB,
    md5 BLOB,
    content_type TEXT,
    written_at INTEGER,
    -- Blocks ever put, which numbers them; those not committed yet, and their bytes.
    blocks_put INTEGER NOT NULL DEFAULT 0,
    staged_blocks INTEGER NOT NULL DEFAULT 0,
    staged_bytes INTEGER NOT NULL DEFAULT 0,
    -- Where a client puts it by the store's own link, and which version of that the content was copied from.
    direct_key TEXT,
    direct_version TEXT,
    -- The blocks the content was committed from, in order: a JSON array of [id, bytes].
    layout TEXT
) STRICT;
CREATE TABLE dmf_blocks (
    path TEXT NOT NULL,
    -- Base64, as the client wrote it.
    block TEXT NOT NULL,
    key TEXT NOT NULL,
    bytes INTEGER NOT NULL,
    digest BLOB NOT NULL,
    number INTEGER NOT NULL,
    PRIMARY KEY (path, block)
) STRICT;
CREATE TABLE package_requests (
    execution TEXT NOT NULL PRIMARY KEY REFERENCES executions (id) ON DELETE CASCADE,
    client TEXT NOT NULL,
    action TEXT NOT NULL,
    -- The data project as the client wrote it.
    project TEXT NOT NULL,
    -- The other parameters: a JSON object with its members in order.
    asked TEXT NOT NULL,
    asked_at INTEGER NOT NULL
, message BLOB) STRICT;
CREATE TABLE projects (
    -- The activity id of its job.
    id BLOB NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    -- The name in lower case, by the program's rules: the databases' own differ beyond ASCII.
    name_key TEXT NOT NULL UNIQUE,
    direction TEXT NOT NULL CHECK (direction IN ('import', 'export')),
    -- Who created it, and may use it.
    client TEXT NOT NULL,
    -- Its entities: JSON.
    holds TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    changed_at INTEGER NOT NULL
) STRICT;
CREATE TABLE project_changes (
    only_row INTEGER NOT NULL PRIMARY KEY CHECK (only_row = 1),
    number INTEGER NOT NULL
) STRICT;
INSERT INTO project_changes VALUES(1,0);
CREATE TABLE outcomes (
    message BLOB NOT NULL PRIMARY KEY,
    job BLOB NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('Acked', 'Processed', 'ProcessedWithErrors', 'Staged', 'PreProcessingError',
        'PostProcessingFailed', 'Cancelled', 'Expired', 'DeadLettered')),
    seq INTEGER NOT NULL,
    grp TEXT,
    epoch INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    dequeued_at INTEGER,
    previous_dequeued_at INTEGER,
    started_at INTEGER,
    finished_at INTEGER NOT NULL,
    execution TEXT,
    failure_code TEXT,
    failure_detail TEXT,
    first_error TEXT,
    last_error TEXT,
    records_read INTEGER NOT NULL DEFAULT 0,
    inserted INTEGER NOT NULL DEFAULT 0,
    updated INTEGER NOT NULL DEFAULT 0,
    unchanged INTEGER NOT NULL DEFAULT 0,
    deleted INTEGER NOT NULL DEFAULT 0,
    rejected INTEGER NOT NULL DEFAULT 0,
    skipped INTEGER NOT NULL DEFAULT 0,
    repaired INTEGER NOT NULL DEFAULT 0
, owner TEXT) STRICT;
INSERT INTO outcomes VALUES(X'01a227ec7ee470d79971e2bec5c82044',X'000000000000400080000000000000e1','ProcessedWithErrors',1,NULL,1,1,NULL,NULL,1795966140135962,1795966140193958,'Parts in-2026-11-29T15:29:00-a0952a185f904e9cb6c6b16be3a542f2',NULL,NULL,NULL,NULL,3,2,0,0,0,1,0,0,NULL);
INSERT INTO outcomes VALUES(X'01a227ec7f3a7727b680d5ecbd68ad2a',X'000000000000400080000000000000e3','Acked',3,NULL,1,1,1795966140327797,NULL,NULL,1795966140334081,NULL,NULL,NULL,NULL,NULL,0,0,0,0,0,0,0,0,'keeper');
INSERT INTO outcomes VALUES(X'01a227ec7f437444a75f1495acb281c7',X'000000000000400080000000000000e3','DeadLettered',5,NULL,1,1,1795966140327797,NULL,NULL,1795966140336934,NULL,'rejected','torn','torn','torn',0,0,0,0,0,0,0,0,'keeper');
CREATE TABLE message_events (
    seq INTEGER NOT NULL PRIMARY KEY,
    message BLOB NOT NULL,
    at INTEGER NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('Enqueued', 'Dequeued', 'Downloaded', 'Acked', 'PreProcessing', 'Processing',
        'Processed', 'ProcessedWithErrors', 'Staged', 'PreProcessingError', 'PostProcessingFailed', 'Cancelled', 'Expired',
        'DeadLettered')),
    epoch INTEGER NOT NULL,
    note TEXT
) STRICT;
INSERT INTO message_events VALUES(1,X'01a227ec7ee470d79971e2bec5c82044',1795966140135962,'PreProcessing',1,NULL);
INSERT INTO message_events VALUES(2,X'01a227ec7ee470d79971e2bec5c82044',1795966140166857,'Processing',1,NULL);
INSERT INTO message_events VALUES(3,X'01a227ec7ee470d79971e2bec5c82044',1795966140193958,'ProcessedWithErrors',1,NULL);
INSERT INTO message_events VALUES(4,X'01a227ec7f437444a75f1495acb281c7',1795966140336934,'DeadLettered',1,'rejected');
INSERT INTO message_events VALUES(5,X'01a227ec7f4277f392d694e73c3cad66',1795966140340432,'Dequeued',1,'to keeper');
INSERT INTO message_events VALUES(6,X'01a227ec7f4277f392d694e73c3cad66',1795966140343467,'Enqueued',1,'given back');
CREATE TABLE exported_packages (
    execution TEXT NOT NULL PRIMARY KEY REFERENCES executions (id) ON DELETE CASCADE,
    -- The run that made it.
    job BLOB NOT NULL,
    due_at INTEGER NOT NULL,
    -- Of the blob host.
    path TEXT NOT NULL UNIQUE,
    bytes INTEGER NOT NULL,
    -- The blob host keeps it until then.
    expires_at INTEGER NOT NULL,
    -- The parts of it that were sent: a JSON array of [first byte, byte behind the last].
    sent TEXT NOT NULL DEFAULT '[]',
    -- When the last missing byte of it was sent.
    fetched_at INTEGER,
    UNIQUE (job, due_at)
) STRICT;
CREATE TABLE console_sessions (
    digest BLOB NOT NULL PRIMARY KEY,
    -- Its `name_key`; NULL: the operator who has the store at hand, let in by a one-time link.
    client TEXT,
    begun_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE console_links (
    digest BLOB NOT NULL PRIMARY KEY,
    client TEXT,
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE audit (
    -- From 1 without gaps.
    seq INTEGER NOT NULL PRIMARY KEY,
    at INTEGER NOT NULL,
    actor TEXT NOT NULL,
    surface TEXT NOT NULL CHECK (surface IN ('api', 'console', 'command_line', 'service')),
    action TEXT NOT NULL,
    target TEXT NOT NULL,
    outcome TEXT NOT NULL CHECK (outcome IN ('done', 'asked', 'failed')),
    -- JSON, as it was hashed.
    detail TEXT NOT NULL,
    previous BLOB NOT NULL,
    hash BLOB NOT NULL
) STRICT;
INSERT INTO audit VALUES(1,1795966139946707,'os user root','command_line','client.add','keeper','done','{"role":"admin"}',X'0000000000000000000000000000000000000000000000000000000000000000',X'64a556cdd0a93f51d81f6343dea54b65a0e5cfa4912359956f9c873c896c2c07');
INSERT INTO audit VALUES(2,1795966140207815,'keeper','api','job.pause','00000000-0000-4000-8000-0000000000e1','done','{"job":"Parts in","note":"until the new version"}',X'64a556cdd0a93f51d81f6343dea54b65a0e5cfa4912359956f9c873c896c2c07',X'db35b2c37de6faf616cd1222f42aa2e21bbb4f8ffe1c7ade1120fb141c6aa4a4');
INSERT INTO audit VALUES(3,1795966140215359,'keeper','api','job.run','00000000-0000-4000-8000-0000000000e2','done','{"due_at":"2026-11-29T15:29:00Z","job":"Parts out"}',X'db35b2c37de6faf616cd1222f42aa2e21bbb4f8ffe1c7ade1120fb141c6aa4a4',X'b0a9e74d0655fed7de85002f3e31d4f0175157db7f120c7d0ee1ff381d9bc1d4');
DELETE FROM sqlite_sequence;
INSERT INTO sqlite_sequence VALUES('queue',7);
CREATE INDEX messages_listed ON messages (job, id) WHERE bytes >= 0;
CREATE INDEX messages_children ON messages (parent, id) WHERE parent IS NOT NULL;
CREATE INDEX queue_ready ON queue (job, lane, rank, seq) WHERE wait = 'ready';
CREATE INDEX queue_front ON queue (job, grp, returned, seq) WHERE grp IS NOT NULL AND wait <> 'behind';
CREATE INDEX queue_behind ON queue (job, grp, returned, seq) WHERE grp IS NOT NULL AND wait = 'behind';
CREATE INDEX queue_delayed ON queue (not_before) WHERE wait = 'delayed' AND attempt >= 0;
CREATE INDEX queue_worked ON queue (status, job) WHERE status IN ('PreProcessing', 'Processing') AND attempt >= 0;
CREATE INDEX queue_redeliver ON queue (redeliver_at) WHERE redeliver_at IS NOT NULL AND attempt >= 0;
CREATE INDEX queue_expires ON queue (expires_at) WHERE expires_at IS NOT NULL AND attempt >= 0;
CREATE INDEX identities_by_age ON identities (created_at);
CREATE INDEX uploads_unused ON uploads (state, beat_at) WHERE state <> 'used';
CREATE INDEX uploads_used ON uploads (created_at) WHERE state = 'used';
CREATE INDEX executions_ended ON executions (finished_at) WHERE finished_at IS NOT NULL;
CREATE INDEX repairs_by_child ON repairs (child);
CREATE INDEX webhook_deliveries_pending ON webhook_deliveries (destination, due_at) WHERE state = 'pending';
CREATE INDEX webhook_deliveries_ended ON webhook_deliveries (state, finished_at) WHERE state <> 'pending';
CREATE INDEX webhook_deliveries_listed ON webhook_deliveries (job, id);
CREATE INDEX message_webhooks_by_age ON message_webhooks (created_at);
CREATE INDEX schedules_paused ON schedules (job) WHERE paused_at IS NOT NULL AND resumed_at IS NULL;
CREATE INDEX occurrences_due ON occurrences (job, due_at) WHERE state = 'due';
CREATE UNIQUE INDEX occurrences_running ON occurrences (job) WHERE state = 'running';
CREATE INDEX occurrences_waiting ON occurrences (due_at, job) WHERE state = 'due' AND origin <> 'backfill';
CREATE INDEX occurrences_backfill ON occurrences (due_at, job) WHERE state = 'due' AND origin = 'backfill';
CREATE INDEX occurrences_cancelled ON occurrences (job) WHERE cancel_asked IS NOT NULL;
CREATE INDEX occurrences_finished ON occurrences (finished_at) WHERE finished_at IS NOT NULL;
CREATE INDEX export_deliveries_pending ON export_deliveries (lane, due_at) WHERE state = 'pending';
CREATE INDEX export_deliveries_ended ON export_deliveries (state, finished_at) WHERE state <> 'pending';
CREATE INDEX export_deliveries_listed ON export_deliveries (job, id);
CREATE INDEX dmf_blobs_expiring ON dmf_blobs (expires_at);
CREATE UNIQUE INDEX dmf_blobs_direct ON dmf_blobs (direct_key) WHERE direct_key IS NOT NULL;
CREATE UNIQUE INDEX package_requests_by_message ON package_requests (message) WHERE message IS NOT NULL;
CREATE INDEX outcomes_troubled ON outcomes (job, status, message) WHERE status NOT IN ('Acked', 'Processed');
CREATE INDEX message_events_of ON message_events (message, seq);
CREATE INDEX console_sessions_by_age ON console_sessions (expires_at);
CREATE INDEX console_sessions_of ON console_sessions (client);
CREATE INDEX outcomes_troubled_lately ON outcomes (job, message) WHERE status NOT IN ('Acked', 'Processed');
CREATE INDEX audit_by_time ON audit (at, seq);
CREATE INDEX audit_by_actor ON audit (actor, at, seq);
CREATE INDEX audit_by_action ON audit (action, at, seq);
CREATE INDEX audit_by_target ON audit (target, at, seq);
CREATE TRIGGER audit_is_not_changed BEFORE UPDATE ON audit
BEGIN
    SELECT RAISE(ABORT, 'the audit log is append-only');
END;
CREATE TRIGGER audit_is_not_deleted BEFORE DELETE ON audit
WHEN NOT EXISTS (SELECT 1 FROM audit WHERE action = 'audit.prune' AND seq > OLD.seq AND CAST(target AS INTEGER) >= OLD.seq)
BEGIN
    SELECT RAISE(ABORT, 'the audit log is append-only');
END;
CREATE INDEX webhook_deliveries_by_state ON webhook_deliveries (state, id);
CREATE INDEX webhook_deliveries_by_job_and_state ON webhook_deliveries (job, state, id);
CREATE INDEX occurrences_failed ON occurrences (finished_at) WHERE state = 'failed';
CREATE INDEX occurrences_again ON occurrences (due_at, job) WHERE state = 'due' AND attempt > 0;
COMMIT;
