-- SPDX-License-Identifier: Apache-2.0
-- Up Migration
--
-- logic and extlogic may run as a role that owns nothing and has no DDL (docs/security.md). What retention does to partitions is done
-- as their owner: it makes those of the coming months, drops those that are too old, and deletes in partitions by name. Nobody else may
-- call it: those to whom the migration grants it. Names are looked up in this schema only, whatever the caller's search_path says.
DO $$
DECLARE
  signature text;
BEGIN
  FOREACH signature IN ARRAY ARRAY[
    'retention_partitions_v1(bigint, int)', 'retention_sweep_v2(text, bigint, int, text[], bigint[])'
  ] LOOP
    EXECUTE format('ALTER FUNCTION %s SECURITY DEFINER SET search_path = %I, pg_temp', signature, current_schema());
    EXECUTE format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', signature);
  END LOOP;
END $$;
