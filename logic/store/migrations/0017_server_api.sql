-- SPDX-License-Identifier: Apache-2.0
-- Up Migration
--
-- What the API for the shop's backends keeps. Times are this server's, bigint milliseconds since 1970.

-- Keys by the part of them that is no secret. One without a hash was revoked without having been made here.
CREATE TABLE api_key (
  key_id      text COLLATE "C" PRIMARY KEY,
  tenant      text COLLATE "C" NOT NULL,
  name        text NOT NULL,
  -- SHA-256.
  secret_hash bytea NOT NULL,
  scopes      text[] NOT NULL,
  created_ms  bigint NOT NULL,
  -- 0 = never, and not.
  expires_ms  bigint NOT NULL,
  revoked_ms  bigint NOT NULL
);
CREATE INDEX api_key_tenant ON api_key (tenant, key_id);

-- Requests by the idempotency key that their caller gave them, while they are worked on and then with their answer.
CREATE TABLE api_request (
  tenant          text COLLATE "C" NOT NULL,
  idempotency_key text COLLATE "C" NOT NULL,
  -- SHA-256 of what makes two requests the same.
  digest          bytea NOT NULL,
  -- Whoever began it has it in hand until then; also the name of that hold.
  lease_ms        bigint NOT NULL,
  expires_ms      bigint NOT NULL,
  -- NULL while it is worked on.
  status          int,
  body            text,
  PRIMARY KEY (tenant, idempotency_key)
) WITH (fillfactor = 80);
CREATE INDEX api_request_expires ON api_request (expires_ms);

CREATE FUNCTION api_now_ms() RETURNS bigint LANGUAGE sql STABLE AS $$
  SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint
$$;

-- Begins a request, or tells what became of the one that has its key.
CREATE FUNCTION api_request_begin_v1(
  in_tenant text, in_key text, in_digest bytea, in_lease_ms bigint, in_keep_ms bigint,
  OUT outcome text, OUT lease bigint, OUT known_status int, OUT known_body text
) LANGUAGE plpgsql AS $$
DECLARE
  now_ms bigint := api_now_ms();
  known api_request;
BEGIN
  LOOP
    INSERT INTO api_request (tenant, idempotency_key, digest, lease_ms, expires_ms)
    VALUES (in_tenant, in_key, in_digest, now_ms + in_lease_ms, now_ms + in_keep_ms)
    ON CONFLICT DO NOTHING;
    IF FOUND THEN
      outcome := 'begun';
      lease := now_ms + in_lease_ms;
      RETURN;
    END IF;
    SELECT * INTO known FROM api_request r WHERE r.tenant = in_tenant AND r.idempotency_key = in_key FOR UPDATE;
    EXIT WHEN FOUND;
  END LOOP;

  -- The wait for the row may have taken a while.
  now_ms := api_now_ms();
  IF known.expires_ms > now_ms THEN
    IF known.digest <> in_digest THEN
      outcome := 'conflict';
      RETURN;
    ELSIF known.status IS NOT NULL THEN
      outcome := 'done';
      known_status := known.status;
      known_body := known.body;
      RETURN;
    ELSIF known.lease_ms > now_ms THEN
      outcome := 'running';
      lease := known.lease_ms - now_ms;
      RETURN;
    END IF;
  END IF;
  outcome := 'begun';
  -- Never the same as the one before.
  lease := greatest(now_ms + in_lease_ms, known.lease_ms + 1);
  UPDATE api_request r
     SET digest = in_digest, lease_ms = lease, expires_ms = now_ms + in_keep_ms, status = NULL, body = NULL
   WHERE r.tenant = in_tenant AND r.idempotency_key = in_key;
END $$;

-- Who did what with which key. Never bodies, never secrets.
CREATE TABLE api_audit (
  tenant    text COLLATE "C" NOT NULL,
  audit_id  bigint GENERATED ALWAYS AS IDENTITY,
  at_ms     bigint NOT NULL,
  key_id    text COLLATE "C" NOT NULL,
  operation text NOT NULL,
  target    text NOT NULL,
  status    int NOT NULL,
  PRIMARY KEY (tenant, audit_id)
);
CREATE INDEX api_audit_at ON api_audit (at_ms);

-- Append-only: nobody changes a row, and nobody deletes one younger than 90 days, not even by mistake.
CREATE FUNCTION api_audit_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'DELETE' AND OLD.at_ms < api_now_ms() - 90 * 86400000::bigint THEN
    RETURN OLD;
  END IF;
  RAISE EXCEPTION 'api_audit is append-only' USING ERRCODE = 'insufficient_privilege';
END $$;
CREATE TRIGGER api_audit_guard BEFORE UPDATE OR DELETE ON api_audit FOR EACH ROW EXECUTE FUNCTION api_audit_guard();
CREATE TRIGGER api_audit_truncate BEFORE TRUNCATE ON api_audit FOR EACH STATEMENT EXECUTE FUNCTION api_audit_guard();
