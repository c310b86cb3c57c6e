-- SPDX-License-Identifier: Apache-2.0
-- Up Migration
--
-- Push tokens are stored sealed (logic/store/token-seal.ts): `s1.DIGEST.KEY.SEALED`. What compares tokens compares their
-- SHA-256, which a sealed one carries along: it stays the same when the key changes, and is short enough for an index.
CREATE FUNCTION push_token_digest(stored text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT CASE WHEN stored = '' THEN ''
              WHEN stored LIKE 's1.%' THEN split_part(stored, '.', 2)
              ELSE rtrim(translate(encode(sha256(convert_to(stored, 'UTF8')), 'base64'), '+/', '-_'), '=') END
$$;

COMMENT ON COLUMN push_binding.push_token IS 'push_token_digest of the token.';
UPDATE push_binding SET push_token = push_token_digest(push_token);

-- As before, but by digest.
CREATE OR REPLACE FUNCTION set_device_v1(
  in_user text, in_device text, in_provider text, in_token text, in_locale text, in_version text, in_prefs text
) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
  before text;
  owner push_binding;
  digest text := push_token_digest(in_token);
BEGIN
  IF in_token <> '' THEN
    LOOP
      SELECT * INTO owner FROM push_binding b WHERE b.push_token = digest FOR UPDATE;
      EXIT WHEN FOUND;
      INSERT INTO push_binding (push_token, user_id, device_id) VALUES (digest, in_user, in_device)
      ON CONFLICT DO NOTHING;
    END LOOP;
  END IF;
  SELECT push_token_digest(d.push_token) INTO before
    FROM device d WHERE d.user_id = in_user AND d.device_id = in_device FOR NO KEY UPDATE;
  IF NOT FOUND THEN
    DELETE FROM push_binding b WHERE b.push_token = digest AND b.user_id = in_user AND b.device_id = in_device;
    RETURN false;
  END IF;
  IF in_token <> '' AND (owner.user_id, owner.device_id) <> (in_user, in_device) THEN
    UPDATE device d SET push_token = '', push_provider = ''
     WHERE d.user_id = owner.user_id AND d.device_id = owner.device_id AND push_token_digest(d.push_token) = digest;
    UPDATE push_binding b SET user_id = in_user, device_id = in_device WHERE b.push_token = digest;
  END IF;
  IF before <> '' AND before <> digest THEN
    DELETE FROM push_binding b WHERE b.push_token = before AND b.user_id = in_user AND b.device_id = in_device;
  END IF;
  UPDATE device d
     SET push_provider = in_provider, push_token = in_token,
         push_invalid_at = CASE in_token WHEN '' THEN d.push_invalid_at END, locale = in_locale, prefs = in_prefs,
         app_version = CASE in_version WHEN '' THEN d.app_version ELSE in_version END
   WHERE d.user_id = in_user AND d.device_id = in_device;
  RETURN true;
END $$;
