PRAGMA application_id = 1751480434;
PRAGMA user_version = 1;
PRAGMA auto_vacuum = INCREMENTAL;
PRAGMA journal_mode = WAL;
BEGIN TRANSACTION;
CREATE TABLE calls (
    id BLOB PRIMARY KEY NOT NULL, trace BLOB, parent BLOB, sampled INTEGER,
    segment INTEGER NOT NULL, facet INTEGER NOT NULL,
    start INTEGER NOT NULL, duration INTEGER, first_chunk INTEGER,
    cost INTEGER, input INTEGER, output INTEGER, cache_read INTEGER, cache_write INTEGER, reasoning INTEGER,
    usage TEXT, labels TEXT, finish TEXT, response TEXT, status INTEGER, stream INTEGER
);
INSERT INTO "calls" VALUES(X'BC751C4CF10B9557',X'5DD4FB5A0C17B6D523B30438D6BF4D20',X'CEDC2DB8BE3B1A89',1,1,1,1795450586106101089,55692146,NULL,3350000000,20,330,0,NULL,0,'{"input_audio":0,"output_audio":0}','{"team":"search"}','["stop"]','chatcmpl-000000000000000000000001',NULL,0);
INSERT INTO "calls" VALUES(X'E9C04634DFCF165A',X'5DD4FB5A0C17B6D523B30438D6BF4D20',X'CEDC2DB8BE3B1A89',1,1,1,1795450586199509291,24934910,23068008,3350000000,20,330,0,NULL,0,'{"input_audio":0,"output_audio":0}','{"team":"search"}','["stop"]','chatcmpl-000000000000000000000002',NULL,1);
INSERT INTO "calls" VALUES(X'96B5D1CD50240B63',X'5DD4FB5A0C17B6D523B30438D6BF4D20',X'CEDC2DB8BE3B1A89',1,1,2,1795450586225529563,427576709,NULL,1545000000,20,99,0,0,0,'{"cache_write_1h":0}','{"team":"search"}','["length"]','msg_000000000000000000000003',NULL,0);
INSERT INTO "calls" VALUES(X'B994A710A01B4D81',X'5DD4FB5A0C17B6D523B30438D6BF4D20',X'CEDC2DB8BE3B1A89',1,1,3,1795450586684791184,114644532,NULL,1253000000,10,500,NULL,NULL,100,'{"input_audio":0,"input_image":0}','{"team":"search"}','["stop"]','hexr00000000000000000004',NULL,0);
INSERT INTO "calls" VALUES(X'D743679EF51E0A91',X'5DD4FB5A0C17B6D523B30438D6BF4D20',X'CEDC2DB8BE3B1A89',1,1,4,1795450586810898644,6180676,NULL,NULL,20,330,0,NULL,0,'{"input_audio":0,"output_audio":0}','{"team":"search"}','["stop"]','chatcmpl-000000000000000000000005',NULL,0);
INSERT INTO "calls" VALUES(X'C252F603153B3695',X'5DD4FB5A0C17B6D523B30438D6BF4D20',X'CEDC2DB8BE3B1A89',1,1,5,1795450586820926503,13168491,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'{"team":"search"}',NULL,NULL,429,0);
INSERT INTO "calls" VALUES(X'C350BA21B62BE1BA',X'5DD4FB5A0C17B6D523B30438D6BF4D20',X'CEDC2DB8BE3B1A89',1,1,6,1795450586834892057,36799025,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'{"team":"search"}','["error"]','chatcmpl-000000000000000000000007',NULL,1);
INSERT INTO "calls" VALUES(X'2A19CF67D909A558',X'DC8E721CF01E629FC4ECD23115186D40',NULL,1,1,7,1795450586880907796,26066630,NULL,200000,10,NULL,NULL,NULL,NULL,NULL,'{"team":"search"}',NULL,NULL,NULL,0);
CREATE TABLE facets (
    id INTEGER PRIMARY KEY,
    agent TEXT, tenant TEXT, role TEXT, provider TEXT, requested TEXT, served TEXT, operation TEXT,
    cost_status TEXT NOT NULL, cost_source TEXT, error TEXT
);
INSERT INTO "facets" VALUES(1,'crew','acme-corp','writer','openai','gpt-4o','gpt-4o-2024-08-06','chat','priced','table',NULL);
INSERT INTO "facets" VALUES(2,'crew','acme-corp',NULL,'anthropic','claude-sonnet-4-5','claude-sonnet-4-5-20250929','chat','priced','table',NULL);
INSERT INTO "facets" VALUES(3,'crew','acme-corp',NULL,'gcp.gemini','gemini-2.5-flash','gemini-2.5-flash','generate_content','priced','table',NULL);
INSERT INTO "facets" VALUES(4,'crew','acme-corp',NULL,'openai','acme-1','acme-1','chat','unpriced',NULL,NULL);
INSERT INTO "facets" VALUES(5,'crew','acme-corp',NULL,'openai','error-429',NULL,'chat','no_usage',NULL,'openai.RateLimitError');
INSERT INTO "facets" VALUES(6,'crew','acme-corp',NULL,'openai','gpt-4o','gpt-4o-2024-08-06','chat','partial',NULL,NULL);
INSERT INTO "facets" VALUES(7,'shop',NULL,NULL,'openai','text-embedding-3-small','text-embedding-3-small','embeddings','priced','table',NULL);
CREATE TABLE facts (name TEXT PRIMARY KEY NOT NULL, value INTEGER NOT NULL);
CREATE TABLE segments (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE, started INTEGER NOT NULL, offset INTEGER NOT NULL, skipped INTEGER NOT NULL,
    run TEXT, service TEXT, resource TEXT, prices TEXT
);
INSERT INTO "segments" VALUES(1,'1795450586198-15354-5727464f.jsonl',1795450586198,5350,0,'00000000000000aa','shop','{"service.instance.id":"da869dcb35de303293965fef7ba275a9-15354","service.name":"shop","service.version":"1.2"}','genai-prices 0.2.3 (2026-11-10)');
CREATE INDEX facets_all ON facets (agent, tenant, role, provider, requested, served, operation, cost_status, cost_source, error);
CREATE INDEX calls_start ON calls (start);
CREATE INDEX calls_segment ON calls (segment);
CREATE INDEX calls_costs ON calls (facet, start, cost, input, output, cache_read, cache_write, reasoning);
CREATE VIEW records AS SELECT
    lower(hex(calls.id)) AS id, lower(hex(trace)) AS trace, lower(hex(parent)) AS parent, sampled,
    run, service, resource, prices,
    agent, tenant, role, provider, coalesce(served, requested) AS model, requested, served, operation,
    start, duration, first_chunk, cost, cost / 1e12 AS cost_usd, cost_status, cost_source, error, status,
    input, output, cache_read, cache_write, reasoning, usage, labels, finish, response, stream
    FROM calls JOIN facets ON facets.id = facet LEFT JOIN segments ON segments.id = segment;
COMMIT;
