BEGIN TRANSACTION;
CREATE TABLE acts (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	incident INTEGER NOT NULL, 
	attempt INTEGER NOT NULL, 
	rung INTEGER NOT NULL, 
	target TEXT NOT NULL, 
	remedy VARCHAR(64) NOT NULL, 
	token BIGINT NOT NULL, 
	holder TEXT NOT NULL, 
	identity JSON NOT NULL, 
	written_at BIGINT NOT NULL, 
	deadline_at BIGINT NOT NULL, 
	result VARCHAR(16), 
	why TEXT, 
	closed_at BIGINT, 
	FOREIGN KEY(incident) REFERENCES incidents (number)
);
INSERT INTO "acts" VALUES(1,1,1,1,'web-1/tracking-api','restart',1,'run:run-1','{"pid": 4711, "started_at": 1.0, "state": "RUNNING"}',1769851800000000,1769851830000000,'done','web-1/tracking-api answered',1769851802000000);
INSERT INTO "acts" VALUES(2,5,1,1,'web-5/tracking-api','restart',1,'run:run-1','{"pid": 4711, "started_at": 1.0, "state": "RUNNING"}',1769852407000000,1769852412000000,NULL,NULL,NULL);
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0008');
CREATE TABLE approvals (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	incident INTEGER NOT NULL, 
	attempt INTEGER NOT NULL, 
	rung INTEGER NOT NULL, 
	target TEXT NOT NULL, 
	remedy TEXT NOT NULL, 
	identity JSON NOT NULL, 
	asked_at BIGINT NOT NULL, 
	expires_at BIGINT NOT NULL, 
	state VARCHAR(16) NOT NULL, 
	decided_by TEXT, 
	decided_at BIGINT, 
	how VARCHAR(16), 
	flow_run VARCHAR(36) NOT NULL, 
	resume_at BIGINT, 
	resumed_at BIGINT, 
	wrong_codes INTEGER NOT NULL, 
	FOREIGN KEY(incident) REFERENCES incidents (number)
);
INSERT INTO "approvals" VALUES(1,3,1,1,'web-3/tracking-api','restart','{"pid": 4711, "started_at": 1.0, "state": "RUNNING", "revision": null, "invocation": null}',1769852407000000,1769853307000000,'granted','ada',1769852407000000,'link','run-1',1769852407000000,NULL,0);
INSERT INTO "approvals" VALUES(2,4,1,1,'web-4/tracking-api','restart','{"pid": 4711, "started_at": 1.0, "state": "RUNNING", "revision": null, "invocation": null}',1769852407000000,1769853307000000,'asked',NULL,NULL,NULL,'run-1',NULL,NULL,0);
CREATE TABLE attempts (
	incident INTEGER NOT NULL, 
	attempt INTEGER NOT NULL, 
	state VARCHAR(16) NOT NULL, 
	raised_at BIGINT NOT NULL, 
	reason TEXT NOT NULL, 
	dispatched_at BIGINT, 
	flow_run VARCHAR(36), 
	began_at BIGINT, 
	ended_at BIGINT, 
	PRIMARY KEY (incident, attempt), 
	FOREIGN KEY(incident) REFERENCES incidents (number)
);
INSERT INTO "attempts" VALUES(1,1,'closed',1769851800000000,'it is new',1769851800000000,'run-1',1769851800000000,1769851807000000);
INSERT INTO "attempts" VALUES(2,1,'closed',1769852407000000,'it is new',NULL,NULL,NULL,1769852407000000);
INSERT INTO "attempts" VALUES(3,1,'open',1769852407000000,'it is new',1769852407000000,'run-1',1769852407000000,NULL);
INSERT INTO "attempts" VALUES(4,1,'open',1769852407000000,'it is new',1769852407000000,'run-1',1769852407000000,NULL);
INSERT INTO "attempts" VALUES(5,1,'open',1769852407000000,'it is new',1769852407000000,'run-1',1769852407000000,NULL);
INSERT INTO "attempts" VALUES(6,1,'open',1769852407000000,'it is new',NULL,NULL,NULL,NULL);
CREATE TABLE check_samples (
	id INTEGER NOT NULL, 
	runbook TEXT NOT NULL, 
	name TEXT NOT NULL, 
	target TEXT NOT NULL, 
	at BIGINT NOT NULL, 
	"values" JSON, 
	why TEXT NOT NULL, 
	PRIMARY KEY (id)
);
CREATE TABLE check_states (
	runbook TEXT NOT NULL, 
	name TEXT NOT NULL, 
	target TEXT NOT NULL, 
	metric VARCHAR(32) NOT NULL, 
	service TEXT NOT NULL, 
	known VARCHAR(16) NOT NULL, 
	since BIGINT NOT NULL, 
	sampled_at BIGINT NOT NULL, 
	unknown_since BIGINT, 
	warning_since BIGINT, 
	critical_since BIGINT, 
	value FLOAT, 
	why TEXT NOT NULL, 
	stale_at BIGINT NOT NULL, 
	alert_began_at BIGINT, 
	alert_severity VARCHAR(16), 
	alert_said_at BIGINT, 
	PRIMARY KEY (runbook, name, target, metric)
);
CREATE TABLE claims (
	target TEXT NOT NULL, 
	token BIGINT NOT NULL, 
	incident BIGINT NOT NULL, 
	attempt INTEGER NOT NULL, 
	holder TEXT NOT NULL, 
	taken_at BIGINT NOT NULL, 
	lease_until BIGINT NOT NULL, 
	released BOOLEAN NOT NULL, 
	PRIMARY KEY (target)
);
INSERT INTO "claims" VALUES('web-1/tracking-api',1,1,1,'run:run-1',1769851800000000,1769851810000000,0);
INSERT INTO "claims" VALUES('web-3/tracking-api',1,3,1,'run:run-1',1769852407000000,1769852417000000,1);
INSERT INTO "claims" VALUES('web-4/tracking-api',1,4,1,'run:run-1',1769852407000000,1769852417000000,1);
INSERT INTO "claims" VALUES('web-5/tracking-api',1,5,1,'run:run-1',1769852407000000,1769852417000000,0);
CREATE TABLE clocks (
	boot VARCHAR(36) NOT NULL, 
	started_at BIGINT NOT NULL, 
	PRIMARY KEY (boot)
);
CREATE TABLE evidence (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	incident INTEGER NOT NULL, 
	attempt INTEGER NOT NULL, 
	kind VARCHAR(64) NOT NULL, 
	taken_at BIGINT NOT NULL, 
	body TEXT NOT NULL, 
	FOREIGN KEY(incident) REFERENCES incidents (number)
);
INSERT INTO "evidence" VALUES(1,1,1,'process-tree',1769851800000000,'pid parent resident
4711 1 512,000,000');
CREATE TABLE fingerprints (
	fingerprint VARCHAR(64) NOT NULL, 
	status VARCHAR(16) NOT NULL, 
	starts_at BIGINT NOT NULL, 
	PRIMARY KEY (fingerprint)
);
CREATE TABLE grants (
	incident INTEGER NOT NULL, 
	attempt INTEGER NOT NULL, 
	rung INTEGER NOT NULL, 
	target TEXT NOT NULL, 
	state VARCHAR(16) NOT NULL, 
	PRIMARY KEY (incident, attempt, rung, target), 
	FOREIGN KEY(incident) REFERENCES incidents (number)
);
INSERT INTO "grants" VALUES(1,1,1,'web-1/tracking-api','spent');
INSERT INTO "grants" VALUES(2,1,1,'web-2/tracking-api','revoked');
INSERT INTO "grants" VALUES(3,1,1,'web-3/tracking-api','open');
INSERT INTO "grants" VALUES(4,1,1,'web-4/tracking-api','open');
INSERT INTO "grants" VALUES(5,1,1,'web-5/tracking-api','spent');
INSERT INTO "grants" VALUES(6,1,1,'web-6/tracking-api.service','open');
CREATE TABLE heartbeats (
	name TEXT NOT NULL, 
	at BIGINT NOT NULL, 
	sender TEXT NOT NULL, 
	PRIMARY KEY (name)
);
INSERT INTO "heartbeats" VALUES('nightly',1769852407000000,'cron');
CREATE TABLE inbox (
	position INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	receipt VARCHAR(36) NOT NULL, 
	source VARCHAR(64) NOT NULL, 
	sender TEXT NOT NULL, 
	received_at BIGINT NOT NULL, 
	alert JSON NOT NULL, 
	state VARCHAR(16) NOT NULL, 
	look_again_at BIGINT, 
	verdict VARCHAR(32), 
	reason TEXT, 
	incident BIGINT, 
	triaged_at BIGINT, 
	UNIQUE (receipt)
);
INSERT INTO "inbox" VALUES(1,'74c366f9-d2ef-4c09-b4e1-2b7b5eb9cb63','alertmanager','main',1769852407000000,'{"source": "alertmanager", "name": "Waiting", "severity": "critical", "status": "firing", "starts_at": "2026-01-31T09:29:00.000000Z", "ends_at": null, "fingerprint": "990e9cbdbc64c85dd1ba20b7a40aa9ed", "labels": {"alertname": "Waiting", "instance": "web-7"}, "annotations": {}, "value": null}','new',NULL,NULL,NULL,NULL,NULL);
CREATE TABLE incident_alerts (
	incident INTEGER NOT NULL, 
	fingerprint VARCHAR(64) NOT NULL, 
	name TEXT NOT NULL, 
	severity VARCHAR(16) NOT NULL, 
	status VARCHAR(16) NOT NULL, 
	starts_at BIGINT NOT NULL, 
	ends_at BIGINT, 
	labels JSON NOT NULL, 
	annotations JSON NOT NULL, 
	first_seen BIGINT NOT NULL, 
	last_seen BIGINT NOT NULL, 
	count INTEGER NOT NULL, 
	PRIMARY KEY (incident, fingerprint), 
	FOREIGN KEY(incident) REFERENCES incidents (number)
);
INSERT INTO "incident_alerts" VALUES(1,'466fb50e84ffee2478f8457ee0efca6b','TrackingApiMemory','critical','firing',1769851740000000,NULL,'{"alertname": "TrackingApiMemory"}','{}',1769851800000000,1769851800000000,1);
INSERT INTO "incident_alerts" VALUES(2,'466fb50e84ffee2478f8457ee0efca6b','TrackingApiMemory','critical','firing',1769851740000000,NULL,'{"alertname": "TrackingApiMemory"}','{}',1769852407000000,1769852407000000,1);
INSERT INTO "incident_alerts" VALUES(3,'466fb50e84ffee2478f8457ee0efca6b','TrackingApiMemory','critical','firing',1769851740000000,NULL,'{"alertname": "TrackingApiMemory"}','{}',1769852407000000,1769852407000000,1);
INSERT INTO "incident_alerts" VALUES(4,'466fb50e84ffee2478f8457ee0efca6b','TrackingApiMemory','critical','firing',1769851740000000,NULL,'{"alertname": "TrackingApiMemory"}','{}',1769852407000000,1769852407000000,1);
INSERT INTO "incident_alerts" VALUES(5,'466fb50e84ffee2478f8457ee0efca6b','TrackingApiMemory','critical','firing',1769851740000000,NULL,'{"alertname": "TrackingApiMemory"}','{}',1769852407000000,1769852407000000,1);
INSERT INTO "incident_alerts" VALUES(6,'466fb50e84ffee2478f8457ee0efca6b','TrackingApiMemory','critical','firing',1769851740000000,NULL,'{"alertname": "TrackingApiMemory"}','{}',1769852407000000,1769852407000000,1);
CREATE TABLE incidents (
	number INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	service TEXT NOT NULL, 
	target TEXT NOT NULL, 
	title TEXT NOT NULL, 
	severity VARCHAR(16) NOT NULL, 
	state VARCHAR(16) NOT NULL, 
	attempt INTEGER NOT NULL, 
	policy TEXT NOT NULL, 
	opened_at BIGINT NOT NULL, 
	runbook TEXT, 
	runbook_version VARCHAR(64), 
	ending VARCHAR(16), 
	because TEXT, 
	ended_at BIGINT, 
	acknowledged_by TEXT, 
	acknowledged_at BIGINT, notify JSON, reopened_at BIGINT, 
	FOREIGN KEY(runbook_version) REFERENCES runbook_versions (version)
);
INSERT INTO "incidents" VALUES(1,'tracking-api','web-1/tracking-api','TrackingApiMemory','critical','resolved',1,'default',1769851800000000,'tracking-api-memory','v1','remediated','restarted, well',1769851807000000,NULL,NULL,'[]',NULL);
INSERT INTO "incidents" VALUES(2,'tracking-api','web-2/tracking-api','TrackingApiMemory','critical','acknowledged',1,'default',1769852407000000,'tracking-api-memory','v1','handed_over','restarted, still failing',NULL,'ada',1769852407000000,'[]',NULL);
INSERT INTO "incidents" VALUES(3,'tracking-api','web-3/tracking-api','TrackingApiMemory','critical','working',1,'default',1769852407000000,'tracking-api-memory','v1',NULL,NULL,NULL,NULL,NULL,'[]',NULL);
INSERT INTO "incidents" VALUES(4,'tracking-api','web-4/tracking-api','TrackingApiMemory','critical','working',1,'default',1769852407000000,'tracking-api-memory','v1',NULL,NULL,NULL,NULL,NULL,'[]',NULL);
INSERT INTO "incidents" VALUES(5,'tracking-api','web-5/tracking-api','TrackingApiMemory','critical','working',1,'default',1769852407000000,'tracking-api-memory','v1',NULL,NULL,NULL,NULL,NULL,'[]',NULL);
INSERT INTO "incidents" VALUES(6,'tracking-api','web-6/tracking-api.service','TrackingApiMemory','critical','open',1,'default',1769852407000000,'tracking-api-memory','v1',NULL,NULL,NULL,NULL,NULL,'[]',NULL);
CREATE TABLE leases (
	name TEXT NOT NULL, 
	holder TEXT NOT NULL, 
	until BIGINT NOT NULL, 
	PRIMARY KEY (name)
);
CREATE TABLE maintenance (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	service TEXT NOT NULL, 
	target TEXT, 
	starts_at BIGINT NOT NULL, 
	ends_at BIGINT NOT NULL, 
	"by" TEXT NOT NULL, 
	reason TEXT NOT NULL
);
INSERT INTO "maintenance" VALUES(1,'billing',NULL,1769852407000000,1769856007000000,'ada','a new disk');
CREATE TABLE messages (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	kind VARCHAR(16) NOT NULL, 
	incident BIGINT, 
	policy TEXT NOT NULL, 
	rung INTEGER NOT NULL, 
	subject TEXT NOT NULL, 
	body TEXT NOT NULL, 
	due_at BIGINT NOT NULL, 
	state VARCHAR(16) NOT NULL, 
	sending_until BIGINT, 
	tries INTEGER NOT NULL, 
	last_error TEXT, 
	person TEXT, 
	sent_at BIGINT
, severity VARCHAR(16) DEFAULT 'critical' NOT NULL, recipient TEXT);
INSERT INTO "messages" VALUES(1,'rung',2,'default',0,'','',1769852407000000,'sent',1769852437000000,1,NULL,'ada',1769852407000000,'critical',NULL);
INSERT INTO "messages" VALUES(2,'approval',3,'default',0,'','',1769852407000000,'due',NULL,0,NULL,NULL,NULL,'critical',NULL);
INSERT INTO "messages" VALUES(3,'approval',4,'default',0,'','',1769852407000000,'due',NULL,0,NULL,NULL,NULL,'critical',NULL);
INSERT INTO "messages" VALUES(4,'trouble',NULL,'default',0,'the disk is full','look',1769852407000000,'due',NULL,0,NULL,NULL,NULL,'critical',NULL);
INSERT INTO "messages" VALUES(5,'trouble',NULL,'default',0,'An alert from alertmanager could not be read','it is no JSON

It was sent by main and is kept as 019b28dd-a06f-40a0-8a81-47793111c253. It opened no incident: look at it.',1769852407000000,'due',NULL,0,NULL,NULL,NULL,'critical',NULL);
CREATE TABLE meta (
	id INTEGER NOT NULL, 
	store VARCHAR(36) NOT NULL, 
	generation INTEGER NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO "meta" VALUES(1,'dd3546ac-66a2-4e4a-8cc1-d85ae19a5d4c',1);
CREATE TABLE outbox (
	incident INTEGER NOT NULL, 
	attempt INTEGER NOT NULL, 
	"key" VARCHAR(128) NOT NULL, 
	state VARCHAR(16) NOT NULL, 
	written_at BIGINT NOT NULL, 
	due_at BIGINT NOT NULL, 
	tries INTEGER NOT NULL, 
	last_error TEXT, 
	PRIMARY KEY (incident, attempt), 
	FOREIGN KEY(incident) REFERENCES incidents (number), 
	UNIQUE ("key")
);
INSERT INTO "outbox" VALUES(1,1,'paramedic:dd3546ac-66a2-4e4a-8cc1-d85ae19a5d4c:1:1:1','sent',1769851800000000,1769851800000000,1,NULL);
INSERT INTO "outbox" VALUES(2,1,'paramedic:dd3546ac-66a2-4e4a-8cc1-d85ae19a5d4c:1:2:1','withdrawn',1769852407000000,1769852407000000,0,NULL);
INSERT INTO "outbox" VALUES(3,1,'paramedic:dd3546ac-66a2-4e4a-8cc1-d85ae19a5d4c:1:3:1','sent',1769852407000000,1769852407000000,1,NULL);
INSERT INTO "outbox" VALUES(4,1,'paramedic:dd3546ac-66a2-4e4a-8cc1-d85ae19a5d4c:1:4:1','sent',1769852407000000,1769852407000000,1,NULL);
INSERT INTO "outbox" VALUES(5,1,'paramedic:dd3546ac-66a2-4e4a-8cc1-d85ae19a5d4c:1:5:1','sent',1769852407000000,1769852407000000,1,NULL);
INSERT INTO "outbox" VALUES(6,1,'paramedic:dd3546ac-66a2-4e4a-8cc1-d85ae19a5d4c:1:6:1','waiting',1769852407000000,1769852407000000,0,NULL);
CREATE TABLE overrides (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	person TEXT NOT NULL, 
	begins_at BIGINT NOT NULL, 
	ends_at BIGINT NOT NULL, 
	"by" TEXT NOT NULL, 
	written_at BIGINT NOT NULL
);
CREATE TABLE "pauses" (
	scope TEXT NOT NULL, 
	"by" TEXT NOT NULL, 
	reason TEXT NOT NULL, 
	since BIGINT NOT NULL, 
	PRIMARY KEY (scope)
);
INSERT INTO "pauses" VALUES('service:billing','bob','an audit',1769852407000000);
CREATE TABLE quarantine (
	id VARCHAR(36) NOT NULL, 
	source VARCHAR(64) NOT NULL, 
	sender TEXT NOT NULL, 
	received_at BIGINT NOT NULL, 
	error TEXT NOT NULL, 
	body TEXT NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO "quarantine" VALUES('019b28dd-a06f-40a0-8a81-47793111c253','alertmanager','main',1769852407000000,'it is no JSON','no JSON');
CREATE TABLE runbook_versions (
	version VARCHAR(64) NOT NULL, 
	name TEXT NOT NULL, 
	text TEXT NOT NULL, 
	PRIMARY KEY (version)
);
INSERT INTO "runbook_versions" VALUES('v1','tracking-api-memory','---
runbook: tracking-api-memory
---
**Meaning.** It holds too much memory.

## Mitigation

1. Restart it:
   ```
   # as root
   supervisorctl restart tracking-api
   ```
2. Give it a larger machine.

### If that does not help

3. Wake the owner.

## Afterwards

Write it down.
');
CREATE TABLE seals (
	seq BIGINT NOT NULL, 
	first BIGINT NOT NULL, 
	generation INTEGER NOT NULL, 
	hash VARCHAR(64) NOT NULL, 
	last_at VARCHAR(32) NOT NULL, 
	at VARCHAR(32) NOT NULL, 
	signature VARCHAR(128) NOT NULL, 
	file TEXT NOT NULL, 
	PRIMARY KEY (seq)
);
CREATE TABLE told (
	listener VARCHAR(32) NOT NULL, 
	seq BIGINT NOT NULL, 
	PRIMARY KEY (listener)
);
CREATE TABLE trail (
	seq BIGINT NOT NULL, 
	at VARCHAR(32) NOT NULL, 
	actor TEXT NOT NULL, 
	phase VARCHAR(16) NOT NULL, 
	what TEXT NOT NULL, 
	incident VARCHAR(32), 
	target TEXT, 
	reason TEXT NOT NULL, 
	data TEXT NOT NULL, 
	content_digest VARCHAR(64), 
	previous VARCHAR(64) NOT NULL, 
	hash VARCHAR(64) NOT NULL, 
	schema INTEGER NOT NULL, 
	PRIMARY KEY (seq)
);
INSERT INTO "trail" VALUES(1,'2026-01-31T09:30:00.000000Z','triage','decision','incident.opened','INC-1','web-1/tracking-api','it is new','{"fingerprint":"466fb50e84ffee2478f8457ee0efca6b","runbook":"tracking-api-memory","severity":"critical"}','8ea78773624edf917e4881d183d4503302808dfca921ddcf0f081c709e94319c','acd9f60d59361757271c4e741afb2b61736eac95b6f0455945693fefb51861f7','b7727ebad8223f9a124eec220e73d5eeacb7f2e4e025350ca5a9e62051389edc',1);
INSERT INTO "trail" VALUES(2,'2026-01-31T09:30:00.000000Z','triage','decision','attempt.raised','INC-1','web-1/tracking-api','it is new','{"attempt":1}',NULL,'b7727ebad8223f9a124eec220e73d5eeacb7f2e4e025350ca5a9e62051389edc','0bc06724396ccd6f304d5cf49d443d704908a6f6726a74bbfe0b683d262d8f6d',1);
INSERT INTO "trail" VALUES(3,'2026-01-31T09:30:00.000000Z','dispatch','outcome','run.created','INC-1',NULL,'Prefect has the run of attempt 1','{"attempt":1,"flow_run":"run-1"}',NULL,'0bc06724396ccd6f304d5cf49d443d704908a6f6726a74bbfe0b683d262d8f6d','fd42faa91d6e584e0279a8b764f0833267aa52eb3d493aece9aa2334e5204a11',1);
INSERT INTO "trail" VALUES(4,'2026-01-31T09:30:00.000000Z','run:run-1','decision','attempt.began','INC-1','web-1/tracking-api','attempt 1 works on it','{"attempt":1,"flow_run":"run-1"}',NULL,'fd42faa91d6e584e0279a8b764f0833267aa52eb3d493aece9aa2334e5204a11','655b9c5dd619e03f0298091a03293e00f68850faf7c9ffaca2b21d8954eb4ee0',1);
INSERT INTO "trail" VALUES(5,'2026-01-31T09:30:00.000000Z','run:run-1','decision','claim.taken','INC-1','web-1/tracking-api','nobody else has it','{"attempt":1,"token":1}',NULL,'655b9c5dd619e03f0298091a03293e00f68850faf7c9ffaca2b21d8954eb4ee0','e62e9e1e0b4b9a026fc7d10a88a4ddc55f22207a1bc981426b50b6663f778f7a',1);
INSERT INTO "trail" VALUES(6,'2026-01-31T09:30:00.000000Z','run:run-1','outcome','evidence.taken','INC-1','web-1/tracking-api','seen before','{}',NULL,'e62e9e1e0b4b9a026fc7d10a88a4ddc55f22207a1bc981426b50b6663f778f7a','d2adb9f75dc85b5dd5e97ad1e5083dc6811fece4bcdaa365d1e154ee5e0c2aa4',1);
INSERT INTO "trail" VALUES(7,'2026-01-31T09:30:00.000000Z','run:run-1','intent','restart','INC-1','web-1/tracking-api','every guardrail agrees','{"act":1,"attempt":1,"deadline":"2026-01-31T09:30:30.000000Z","guardrails":["kill switch: off","maintenance: none","claim: ours","grant: open","mode: act"],"identity":{"pid":4711,"started_at":1,"state":"RUNNING"},"rung":1,"token":1}',NULL,'d2adb9f75dc85b5dd5e97ad1e5083dc6811fece4bcdaa365d1e154ee5e0c2aa4','f1f9b41567783593d7edf2b73c0f3fb400e582856f03c2bcb239f7122ad27744',1);
INSERT INTO "trail" VALUES(8,'2026-01-31T09:30:02.000000Z','run:run-1','outcome','restart.done','INC-1','web-1/tracking-api','web-1/tracking-api answered','{"act":1,"identity":{"pid":4712,"started_at":60,"state":"RUNNING"}}',NULL,'f1f9b41567783593d7edf2b73c0f3fb400e582856f03c2bcb239f7122ad27744','5cf92a1d4e79f19c460093e2150066a572a0ee59d35a97961076e0d2202d4314',1);
INSERT INTO "trail" VALUES(9,'2026-01-31T09:30:07.000000Z','run:run-1','outcome','incident.remediated','INC-1','web-1/tracking-api','restarted, well','{}',NULL,'5cf92a1d4e79f19c460093e2150066a572a0ee59d35a97961076e0d2202d4314','d3125b9aa0b3d7ebf16e40658b27e2fd91d9d0b6df51c74eb7c1ef2acc25512b',1);
INSERT INTO "trail" VALUES(10,'2026-01-31T09:40:07.000000Z','triage','decision','incident.opened','INC-2','web-2/tracking-api','it is new','{"fingerprint":"466fb50e84ffee2478f8457ee0efca6b","runbook":"tracking-api-memory","severity":"critical"}','8da32d999c28b834844d570f22067e6d942a0ac0aa7f36fc2d029e80ab0d999e','d3125b9aa0b3d7ebf16e40658b27e2fd91d9d0b6df51c74eb7c1ef2acc25512b','f5d1c17aa5098fb5f69baed693d59d2a9161c261fb6942c73b08cf3de294d12b',1);
INSERT INTO "trail" VALUES(11,'2026-01-31T09:40:07.000000Z','triage','decision','attempt.raised','INC-2','web-2/tracking-api','it is new','{"attempt":1}',NULL,'f5d1c17aa5098fb5f69baed693d59d2a9161c261fb6942c73b08cf3de294d12b','8082b345b5ea2a025eab7171be46d102cd14996b7a0ace959cdb513bdecfa839',1);
INSERT INTO "trail" VALUES(12,'2026-01-31T09:40:07.000000Z','run:run-1','outcome','incident.handed_over','INC-2','web-2/tracking-api','restarted, still failing','{}',NULL,'8082b345b5ea2a025eab7171be46d102cd14996b7a0ace959cdb513bdecfa839','61d91da5d13b440caf66f033d9c811e0e61e839450a6612c5b81d12d66b42e8c',1);
INSERT INTO "trail" VALUES(13,'2026-01-31T09:40:07.000000Z','person:ada','decision','incident.acknowledged','INC-2','web-2/tracking-api','I have it','{}',NULL,'61d91da5d13b440caf66f033d9c811e0e61e839450a6612c5b81d12d66b42e8c','8c88e7e3c57f13604b8d616d0cdf7390d6bbc76b2dcb570968c772495a643ce2',1);
INSERT INTO "trail" VALUES(14,'2026-01-31T09:40:07.000000Z','triage','decision','incident.opened','INC-3','web-3/tracking-api','it is new','{"fingerprint":"466fb50e84ffee2478f8457ee0efca6b","runbook":"tracking-api-memory","severity":"critical"}','1c0dec3874cb5e0ba09ba8cbf99093e7e2f37af55f59e5720fb918d365a74b26','8c88e7e3c57f13604b8d616d0cdf7390d6bbc76b2dcb570968c772495a643ce2','f354b33b040bc76ea80a95c9713a3dd444897213437b538068d539fee4f46d2a',1);
INSERT INTO "trail" VALUES(15,'2026-01-31T09:40:07.000000Z','triage','decision','attempt.raised','INC-3','web-3/tracking-api','it is new','{"attempt":1}',NULL,'f354b33b040bc76ea80a95c9713a3dd444897213437b538068d539fee4f46d2a','f3f09c9e325a9e2729fd062016f2d91c13801ccba36f4b3e36bc5e7278df51ab',1);
INSERT INTO "trail" VALUES(16,'2026-01-31T09:40:07.000000Z','dispatch','outcome','run.created','INC-3',NULL,'Prefect has the run of attempt 1','{"attempt":1,"flow_run":"run-1"}',NULL,'f3f09c9e325a9e2729fd062016f2d91c13801ccba36f4b3e36bc5e7278df51ab','8e5c4b41d5864e836358bcea30f519adb15c022673fe5b748758a0ea51c595cc',1);
INSERT INTO "trail" VALUES(17,'2026-01-31T09:40:07.000000Z','run:run-1','decision','attempt.began','INC-3','web-3/tracking-api','attempt 1 works on it','{"attempt":1,"flow_run":"run-1"}',NULL,'8e5c4b41d5864e836358bcea30f519adb15c022673fe5b748758a0ea51c595cc','7c7e09786963fb2327851e0773dc4a3f3606650d2e85195fdba0efeac424bf77',1);
INSERT INTO "trail" VALUES(18,'2026-01-31T09:40:07.000000Z','run:run-1','decision','claim.taken','INC-3','web-3/tracking-api','nobody else has it','{"attempt":1,"token":1}',NULL,'7c7e09786963fb2327851e0773dc4a3f3606650d2e85195fdba0efeac424bf77','ddc52a23e42d65463b219d8cf56e20b600539c0373da76a167bbe0e5cb07f902',1);
INSERT INTO "trail" VALUES(19,'2026-01-31T09:40:07.000000Z','run:run-1','decision','approval.asked','INC-3','web-3/tracking-api','the restart of web-3/tracking-api needs a person''s approval until 2026-01-31T09:55:07.000000Z','{"approval":1,"attempt":1,"expires":"2026-01-31T09:55:07.000000Z","life":"pid 4711 since 1970-01-01T00:00:01.000000Z, RUNNING","remedy":"restart","rung":1}',NULL,'ddc52a23e42d65463b219d8cf56e20b600539c0373da76a167bbe0e5cb07f902','77bd95090f057f4c31e1e51880b681aff4a4122b7fabc1204b2864b6ffdc9dce',1);
INSERT INTO "trail" VALUES(20,'2026-01-31T09:40:07.000000Z','person:ada','decision','approval.granted','INC-3','web-3/tracking-api','ada approved the restart of web-3/tracking-api at 2026-01-31T09:40:07.000000Z (link)','{"approval":1,"attempt":1,"expires":"2026-01-31T09:55:07.000000Z","life":"pid 4711 since 1970-01-01T00:00:01.000000Z, RUNNING","remedy":"restart","rung":1}',NULL,'77bd95090f057f4c31e1e51880b681aff4a4122b7fabc1204b2864b6ffdc9dce','e7c876570cf042dee2415880a6bb3643758a78a333d24d1c8fef5da3d15e5627',1);
INSERT INTO "trail" VALUES(21,'2026-01-31T09:40:07.000000Z','triage','decision','incident.opened','INC-4','web-4/tracking-api','it is new','{"fingerprint":"466fb50e84ffee2478f8457ee0efca6b","runbook":"tracking-api-memory","severity":"critical"}','9119a676c8f959905136fcba9d2bde7bb36ed21c9085765c9ad40aa3c09ca3fb','e7c876570cf042dee2415880a6bb3643758a78a333d24d1c8fef5da3d15e5627','a22f06bd51da303efa7f0395eabd76fe3022dcbc5ab7e44515f16a6ec8adf1d1',1);
INSERT INTO "trail" VALUES(22,'2026-01-31T09:40:07.000000Z','triage','decision','attempt.raised','INC-4','web-4/tracking-api','it is new','{"attempt":1}',NULL,'a22f06bd51da303efa7f0395eabd76fe3022dcbc5ab7e44515f16a6ec8adf1d1','55f2201bed5ce2fa992e958b8534634a158fbbc47e3df638afde2026a3968a3e',1);
INSERT INTO "trail" VALUES(23,'2026-01-31T09:40:07.000000Z','dispatch','outcome','run.created','INC-4',NULL,'Prefect has the run of attempt 1','{"attempt":1,"flow_run":"run-1"}',NULL,'55f2201bed5ce2fa992e958b8534634a158fbbc47e3df638afde2026a3968a3e','0725be7ec57f4d0ea1bf726a112bfe29900cc88cb9a148e28d5a15bf77ec5437',1);
INSERT INTO "trail" VALUES(24,'2026-01-31T09:40:07.000000Z','run:run-1','decision','attempt.began','INC-4','web-4/tracking-api','attempt 1 works on it','{"attempt":1,"flow_run":"run-1"}',NULL,'0725be7ec57f4d0ea1bf726a112bfe29900cc88cb9a148e28d5a15bf77ec5437','0a6c36972e6f67af78b514df655db175cbd03d247a04abecfcb9869cb3802046',1);
INSERT INTO "trail" VALUES(25,'2026-01-31T09:40:07.000000Z','run:run-1','decision','claim.taken','INC-4','web-4/tracking-api','nobody else has it','{"attempt":1,"token":1}',NULL,'0a6c36972e6f67af78b514df655db175cbd03d247a04abecfcb9869cb3802046','97777c304191bcbe6fc1039541aaf5098243bfe1a7468d716fcd2161132380b4',1);
INSERT INTO "trail" VALUES(26,'2026-01-31T09:40:07.000000Z','run:run-1','decision','approval.asked','INC-4','web-4/tracking-api','the restart of web-4/tracking-api needs a person''s approval until 2026-01-31T09:55:07.000000Z','{"approval":2,"attempt":1,"expires":"2026-01-31T09:55:07.000000Z","life":"pid 4711 since 1970-01-01T00:00:01.000000Z, RUNNING","remedy":"restart","rung":1}',NULL,'97777c304191bcbe6fc1039541aaf5098243bfe1a7468d716fcd2161132380b4','44944510a8cba5780d86eb4ed18247528092ee4557fdb7a595acdbbd171a87cc',1);
INSERT INTO "trail" VALUES(27,'2026-01-31T09:40:07.000000Z','triage','decision','incident.opened','INC-5','web-5/tracking-api','it is new','{"fingerprint":"466fb50e84ffee2478f8457ee0efca6b","runbook":"tracking-api-memory","severity":"critical"}','d6bb239b94799158681a843ac6290917813ab3f64386df9d21b3ef1090f4e797','44944510a8cba5780d86eb4ed18247528092ee4557fdb7a595acdbbd171a87cc','9d3f149f4d3c9e82411f4a5db947ea2cbaa010acb3584ee1aa4de618dd731403',1);
INSERT INTO "trail" VALUES(28,'2026-01-31T09:40:07.000000Z','triage','decision','attempt.raised','INC-5','web-5/tracking-api','it is new','{"attempt":1}',NULL,'9d3f149f4d3c9e82411f4a5db947ea2cbaa010acb3584ee1aa4de618dd731403','711b66a616e41698bb917c5292589e160ee38bc165ab2cd8ec16a44172265c9e',1);
INSERT INTO "trail" VALUES(29,'2026-01-31T09:40:07.000000Z','dispatch','outcome','run.created','INC-5',NULL,'Prefect has the run of attempt 1','{"attempt":1,"flow_run":"run-1"}',NULL,'711b66a616e41698bb917c5292589e160ee38bc165ab2cd8ec16a44172265c9e','3ad326107a06f1e51ded5a2801654ceecf76732178d49ffb2f30d2a8e5441a53',1);
INSERT INTO "trail" VALUES(30,'2026-01-31T09:40:07.000000Z','run:run-1','decision','attempt.began','INC-5','web-5/tracking-api','attempt 1 works on it','{"attempt":1,"flow_run":"run-1"}',NULL,'3ad326107a06f1e51ded5a2801654ceecf76732178d49ffb2f30d2a8e5441a53','aa451ff8aa579cb1b182d0ba525e6561e597b37c425ff364b374ae6da61609f0',1);
INSERT INTO "trail" VALUES(31,'2026-01-31T09:40:07.000000Z','run:run-1','decision','claim.taken','INC-5','web-5/tracking-api','nobody else has it','{"attempt":1,"token":1}',NULL,'aa451ff8aa579cb1b182d0ba525e6561e597b37c425ff364b374ae6da61609f0','19bed0fe5409cf1e97110494baf8bad40206706a9b6a0ff52ddcbbff4d579002',1);
INSERT INTO "trail" VALUES(32,'2026-01-31T09:40:07.000000Z','run:run-1','intent','restart','INC-5','web-5/tracking-api','every guardrail agrees','{"act":2,"attempt":1,"deadline":"2026-01-31T09:40:12.000000Z","guardrails":["kill switch: off","maintenance: none","claim: ours","grant: open","mode: act"],"identity":{"pid":4711,"started_at":1,"state":"RUNNING"},"rung":1,"token":1}',NULL,'19bed0fe5409cf1e97110494baf8bad40206706a9b6a0ff52ddcbbff4d579002','5afa5230f0f654deab6d2b974d7b673dda351e2f10b0fc82fd7a550ad7d75076',1);
INSERT INTO "trail" VALUES(33,'2026-01-31T09:40:07.000000Z','triage','decision','incident.opened','INC-6','web-6/tracking-api.service','it is new','{"fingerprint":"466fb50e84ffee2478f8457ee0efca6b","runbook":"tracking-api-memory","severity":"critical"}','62d54819b6e71cb148226de6f4099dfdf5c9354c6549f6e0fa3f721d8a86f844','5afa5230f0f654deab6d2b974d7b673dda351e2f10b0fc82fd7a550ad7d75076','43cfe0cac4ac57ff4294bd72a947a7d1a70490554bf657291ef4c8ee8f0598a2',1);
INSERT INTO "trail" VALUES(34,'2026-01-31T09:40:07.000000Z','triage','decision','attempt.raised','INC-6','web-6/tracking-api.service','it is new','{"attempt":1}',NULL,'43cfe0cac4ac57ff4294bd72a947a7d1a70490554bf657291ef4c8ee8f0598a2','ba8db00be9d0b2181af7233da0bcc58e930b21e16ba8d2552cbdc9bf14e2a62a',1);
INSERT INTO "trail" VALUES(35,'2026-01-31T09:40:07.000000Z','person:bob','decision','acts.paused',NULL,NULL,'an audit','{"scope":"service:billing"}',NULL,'ba8db00be9d0b2181af7233da0bcc58e930b21e16ba8d2552cbdc9bf14e2a62a','638c29e5972d8924c2f70d277316c173160df2ccfd206bbf6e710117404959f4',1);
INSERT INTO "trail" VALUES(36,'2026-01-31T09:40:07.000000Z','person:ada','decision','maintenance.added',NULL,NULL,'a new disk','{"from":"2026-01-31T09:40:07.000000Z","service":"billing","to":"2026-01-31T10:40:07.000000Z","window":1}',NULL,'638c29e5972d8924c2f70d277316c173160df2ccfd206bbf6e710117404959f4','04f0427ad6971990763ad00f85ab700e73cd7bee66f15a0dfc9a74c69d1e45c8',1);
CREATE TABLE trail_contents (
	seq BIGINT NOT NULL, 
	salt BLOB NOT NULL, 
	content TEXT NOT NULL, 
	PRIMARY KEY (seq)
);
INSERT INTO "trail_contents" VALUES(1,X'FCF3D4F191E29185955032B423A6246C','{"alert": {"source": "alertmanager", "name": "TrackingApiMemory", "severity": "critical", "status": "firing", "starts_at": "2026-01-31T09:29:00.000000Z", "ends_at": null, "fingerprint": "466fb50e84ffee2478f8457ee0efca6b", "labels": {"alertname": "TrackingApiMemory"}, "annotations": {}, "value": null}}');
INSERT INTO "trail_contents" VALUES(10,X'4EB594E37EAA92C11B23AEC0CFB64852','{"alert": {"source": "alertmanager", "name": "TrackingApiMemory", "severity": "critical", "status": "firing", "starts_at": "2026-01-31T09:29:00.000000Z", "ends_at": null, "fingerprint": "466fb50e84ffee2478f8457ee0efca6b", "labels": {"alertname": "TrackingApiMemory"}, "annotations": {}, "value": null}}');
INSERT INTO "trail_contents" VALUES(14,X'C7BDA4BDE01D24049714F903E3394F4E','{"alert": {"source": "alertmanager", "name": "TrackingApiMemory", "severity": "critical", "status": "firing", "starts_at": "2026-01-31T09:29:00.000000Z", "ends_at": null, "fingerprint": "466fb50e84ffee2478f8457ee0efca6b", "labels": {"alertname": "TrackingApiMemory"}, "annotations": {}, "value": null}}');
INSERT INTO "trail_contents" VALUES(21,X'397FA3F31E215B6B52E7DC8FF40E1F74','{"alert": {"source": "alertmanager", "name": "TrackingApiMemory", "severity": "critical", "status": "firing", "starts_at": "2026-01-31T09:29:00.000000Z", "ends_at": null, "fingerprint": "466fb50e84ffee2478f8457ee0efca6b", "labels": {"alertname": "TrackingApiMemory"}, "annotations": {}, "value": null}}');
INSERT INTO "trail_contents" VALUES(27,X'3EB01F626EB09B119E4287C60479DAF1','{"alert": {"source": "alertmanager", "name": "TrackingApiMemory", "severity": "critical", "status": "firing", "starts_at": "2026-01-31T09:29:00.000000Z", "ends_at": null, "fingerprint": "466fb50e84ffee2478f8457ee0efca6b", "labels": {"alertname": "TrackingApiMemory"}, "annotations": {}, "value": null}}');
INSERT INTO "trail_contents" VALUES(33,X'449085EA2A7F1FD1A34940C8E6062F43','{"alert": {"source": "alertmanager", "name": "TrackingApiMemory", "severity": "critical", "status": "firing", "starts_at": "2026-01-31T09:29:00.000000Z", "ends_at": null, "fingerprint": "466fb50e84ffee2478f8457ee0efca6b", "labels": {"alertname": "TrackingApiMemory"}, "annotations": {}, "value": null}}');
CREATE INDEX inbox_waiting ON inbox (state, position);
CREATE INDEX messages_due ON messages (state, due_at);
CREATE INDEX trail_incident ON trail (incident);
CREATE UNIQUE INDEX incidents_live ON incidents (service, target) WHERE state <> 'resolved';
CREATE INDEX incidents_state ON incidents (state);
CREATE UNIQUE INDEX acts_open ON acts (target) WHERE result IS NULL;
CREATE INDEX acts_target ON acts (target, written_at);
CREATE INDEX evidence_incident ON evidence (incident);
CREATE INDEX outbox_waiting ON outbox (state, due_at);
CREATE TRIGGER trail_refuses_insert BEFORE INSERT ON trail WHEN NEW.seq <= (SELECT max(seq) FROM trail) BEGIN SELECT RAISE(ABORT, 'the trail only grows'); END;
CREATE TRIGGER trail_refuses_update BEFORE UPDATE ON trail BEGIN SELECT RAISE(ABORT, 'the trail only grows'); END;
CREATE INDEX check_samples_of ON check_samples (runbook, name, target, at);
CREATE INDEX overrides_end ON overrides (ends_at);
CREATE TRIGGER trail_refuses_delete BEFORE DELETE ON trail WHEN OLD.seq > (SELECT coalesce(max(seq), 0) FROM seals) BEGIN SELECT RAISE(ABORT, 'the trail only grows'); END;
CREATE INDEX maintenance_ends ON maintenance (ends_at);
CREATE INDEX acts_written ON acts (written_at);
CREATE UNIQUE INDEX approvals_rung ON approvals (incident, attempt, rung);
CREATE INDEX approvals_asked ON approvals (state, expires_at);
CREATE INDEX approvals_resume ON approvals (resume_at);
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('incidents',6);
INSERT INTO "sqlite_sequence" VALUES('evidence',1);
INSERT INTO "sqlite_sequence" VALUES('acts',2);
INSERT INTO "sqlite_sequence" VALUES('messages',5);
INSERT INTO "sqlite_sequence" VALUES('approvals',2);
INSERT INTO "sqlite_sequence" VALUES('maintenance',1);
INSERT INTO "sqlite_sequence" VALUES('inbox',1);
COMMIT;
