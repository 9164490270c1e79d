-- Why: the hot path. One call writes the transitions of hundreds of sagas, each checked on its own, in
-- one round trip and one transaction. A function and not one statement with many CTEs, because each
-- statement of a function has its own snapshot: only so can the fence be a single row lock.
--
-- The fence. Whoever takes shards from a node first gives the node's row in fence a new generation, then moves the
-- shards, in one transaction. The first statement of an append locks that row FOR SHARE if it still is of the
-- incarnation and the generation that the node knows. Whichever comes first makes the other wait: an append that
-- holds the lock commits before the shards change hands; one that comes later finds the row changed, at every
-- isolation level. Under read committed the condition is evaluated again on the new version, which no longer
-- matches; under repeatable read and serializable, whose snapshot that first statement takes, the lock fails with
-- 40001. So the function has to be the first statement of its transaction. Either means the same: nothing was
-- written; the node reads its generation again and repeats the batch, whose items are then checked one by one.
-- FOR KEY SHARE would not do: under repeatable read it returns the old version after an update of other columns
-- has committed. No append updates the row and no renewal touches it, so it has one version, however old the
-- oldest snapshot is. Locking the shard rows instead would be up to 256 row locks a batch, each with its WAL record.
--
-- Appends of several lanes may hold the lock together, one after the other without a gap, and a waiting UPDATE
-- does not stop new ones: a node that gives shards up pauses its own lanes meanwhile.
--
-- Foreign locks. Everything that an append writes is its node's own but the start keys: an open SQL transaction
-- may hold one of them. So a batch that brings keys waits for no lock longer than 20 ms once it has passed
-- the fence, and blocked_keys says which of its keys is held. Batches without keys go by other
-- connections, so nothing of them ever waits for a key.
--
-- The check of an item: its shard is ours at its epoch; its command still waits (0007_inbox.sql); none of its
-- start keys exists; the last stored sequence is the expected one. Items that fail are returned and left
-- out; the rest is written. Outcomes: 1 duplicate, 2 conflict, 3 fenced, 4 reserved, 5 unknown,
-- 6 regenerated; and of item 0, 7: the fence has changed, nothing was written.
--
-- The generation of a business key counts the sagas that it was taken from after they FAILED. It is part of what a
-- saga's keys are derived from, so a start states it; one that states another than that of the row is told.
--
-- The keys of a start. The first that exists decides. Its own reservation is none: a start from the inbox
-- has reserved its keys (their hash is empty till then). A business key that is used again after its saga
-- failed is locked first, so that of two such starts the second sees whom it belongs to. A repetition by
-- a business key binds the caller's key to the saga that it was answered with.
create function backstitch.append_batch(
  p_node text, p_incarnation uuid, p_generation bigint,
  p_item_saga uuid[], p_item_shard smallint[], p_item_epoch bigint[], p_item_expected bigint[],
  p_event_item integer[], p_event_saga uuid[], p_event_sequence bigint[], p_event_at timestamptz[],
  p_event_type text[], p_event_path text[], p_event_data jsonb[],
  p_start_item integer[], p_start_sequence bigint[], p_start_version bigint[],
  p_start_at timestamptz[], p_start_deadline timestamptz[], p_start_definition text[],
  p_start_business_key text[], p_start_labels jsonb[], p_start_input jsonb[],
  p_start_parent uuid[], p_start_hash text[], p_start_sent jsonb[], p_start_sensitive jsonb[],
  p_key_item integer[], p_key_scope text[], p_key_key text[], p_key_reuses boolean[],
  p_key_hash text[], p_key_version bigint[], p_key_stated bigint[], p_key_sent jsonb[],
  p_key_asks boolean[], p_key_generation bigint[],
  p_row_item integer[], p_row_sequence bigint[], p_row_ended_at timestamptz[],
  p_row_wake_at timestamptz[], p_row_pivot_passed boolean[], p_row_status text[],
  p_row_failure_code text[], p_row_output jsonb[], p_row_failure jsonb[],
  p_row_expires_at timestamptz[],
  p_audit_item integer[], p_audit_actor text[], p_audit_action text[], p_audit_reason text[],
  p_audit_detail jsonb[],
  p_inbox_item integer[], p_inbox_id bigint[], p_inbox_error jsonb[])
returns table (item integer, outcome integer, existing uuid, same_input boolean, by_business_key boolean,
               generation bigint, removed boolean)
language plpgsql as $$
#variable_conflict use_column
declare
  out_item integer[];
  out_outcome integer[];
  duplicate_item integer[] := '{}';
  duplicate_saga uuid[];
  duplicate_same boolean[] := '{}';
  duplicate_business boolean[];
  duplicate_removed boolean[];
  reserved_item integer[] := '{}';
  regenerated_item integer[] := '{}';
  regenerated bigint[];
  consumed_item integer[] := '{}';
begin
  perform 1 from backstitch.fence f
    where f.node = p_node and f.incarnation = p_incarnation and f.generation = p_generation for share;
  if not found then
    return query select 0, 7, null::uuid, null::boolean, null::boolean, null::bigint, null::boolean;
    return;
  end if;

  if cardinality(p_key_item) > 0 then
    perform set_config('lock_timeout', '20ms', true);
    if true = any (p_key_reuses) then
      perform 1
         from (select unnest(p_key_scope) as scope, unnest(p_key_key) as key,
                      unnest(p_key_reuses) as reuses) k
         join backstitch.saga_key s on s.scope = k.scope and s.key = k.key
        where k.reuses
        order by s.scope, s.key for update of s;
    end if;
    select array_agg(d.item), array_agg(d.saga_id), array_agg(d.same), array_agg(d.business),
           array_agg(d.removed), coalesce(array_agg(d.item) filter (where d.reserved), '{}')
      into duplicate_item, duplicate_saga, duplicate_same, duplicate_business, duplicate_removed, reserved_item
      from (select distinct on (k.item) k.item, s.saga_id, s.hash = '' as reserved,
                   s.removed is not null as removed,
                   s.removed is null and s.hash = k.hash and coalesce(k.stated = s.version, true) as same,
                   k.scope like 'business:%' as business
              from (select unnest(p_key_item) as item, unnest(p_key_scope) as scope,
                           unnest(p_key_key) as key, unnest(p_key_reuses) as reuses,
                           unnest(p_key_hash) as hash, unnest(p_key_stated) as stated,
                           generate_subscripts(p_key_item, 1) as position) k
              join backstitch.saga_key s on s.scope = k.scope and s.key = k.key
             where s.saga_id <> p_item_saga[k.item]
               and not (k.reuses and (coalesce(s.removed = 'FAILED', false)
                                      or exists (select 1 from backstitch.saga g
                                                  where g.id = s.saga_id and g.status = 'FAILED')))
             order by k.item, k.position) d;
    if exists (select 1 from unnest(p_key_generation) g(generation) where g.generation is not null) then
      select coalesce(array_agg(g.item), '{}'), array_agg(g.generation) into regenerated_item, regenerated
        from (select k.item, k.generation as given,
                     coalesce(s.generation + (s.saga_id <> p_item_saga[k.item])::integer, 0) as generation
                from (select unnest(p_key_item) as item, unnest(p_key_scope) as scope,
                             unnest(p_key_key) as key, unnest(p_key_generation) as generation) k
                left join backstitch.saga_key s on s.scope = k.scope and s.key = k.key
               where k.generation is not null) g
       where g.generation <> g.given;
    end if;
  end if;

  if cardinality(p_inbox_item) > 0 then
    select coalesce(array_agg(e.item), '{}') into consumed_item
      from (select unnest(p_inbox_item) as item, unnest(p_inbox_id) as id) e
     where not exists (select 1 from backstitch.inbox b where b.id = e.id);
  end if;

  select array_agg(c.item), array_agg(c.outcome) into out_item, out_outcome
    from (select i.item,
                 case when s.epoch is distinct from i.epoch then 3
                      when i.item = any (consumed_item) then 2
                      when i.item = any (reserved_item) then 4
                      when i.item = any (duplicate_item) then 1
                      when i.item = any (regenerated_item) then 6
                      when true = any (p_key_asks)
                           and exists (select 1 from unnest(p_key_item, p_key_asks) a(item, asks)
                                        where a.item = i.item and a.asks) then 5
                      when i.expected >= 0 and coalesce((select l.sequence from backstitch.saga_log l
                                      where l.saga_id = i.saga
                                      order by l.sequence desc limit 1), 0) <> i.expected then 2
                      else 0 end as outcome
            from (select generate_subscripts(p_item_saga, 1) as item, unnest(p_item_saga) as saga,
                         unnest(p_item_shard) as shard, unnest(p_item_epoch) as epoch,
                         unnest(p_item_expected) as expected) i
            left join backstitch.shard s on s.shard = i.shard and s.node = p_node) c
   where c.outcome <> 0;

  if true = any (duplicate_same) then
    insert into backstitch.saga_key (saga_id, scope, key, hash, version, input)
      select g.id, k.scope, k.key, k.hash, g.version, k.sent
        from unnest(duplicate_item, duplicate_saga, duplicate_same, duplicate_business)
               d(item, saga, same, business)
        join unnest(out_item, out_outcome) f(item, outcome) on f.item = d.item and f.outcome = 1
        join (select unnest(p_key_item) as item, unnest(p_key_scope) as scope,
                     unnest(p_key_key) as key, unnest(p_key_hash) as hash,
                     unnest(p_key_sent) as sent) k on k.item = d.item and k.scope not like 'business:%'
        join backstitch.saga g on g.id = d.saga
       where d.same and d.business
          on conflict do nothing;
  end if;

  if cardinality(p_start_item) > 0 then
    insert into backstitch.saga (id, version, last_sequence, started_at, deadline, shard, parent,
                                 status, definition, business_key, labels, input, sensitive)
      select p_item_saga[e.item], e.version, e.sequence, e.at, e.deadline, p_item_shard[e.item],
             e.parent, 'RUNNING', e.definition, e.business_key, e.labels, e.input, e.sensitive
        from (select unnest(p_start_item) as item, unnest(p_start_sequence) as sequence,
                     unnest(p_start_version) as version, unnest(p_start_at) as at,
                     unnest(p_start_deadline) as deadline, unnest(p_start_definition) as definition,
                     unnest(p_start_business_key) as business_key,
                     unnest(p_start_labels) as labels, unnest(p_start_input) as input,
                     unnest(p_start_parent) as parent,
                     unnest(p_start_sensitive) as sensitive) e
       where out_item is null or e.item <> all (out_item);
    insert into backstitch.saga_label (label, saga_id)
      select backstitch.label_hash(l.key, l.value), p_item_saga[e.item]
        from (select unnest(p_start_item) as item, unnest(p_start_labels) as labels) e
       cross join lateral jsonb_each_text(e.labels) l
       where e.labels <> '{}' and (out_item is null or e.item <> all (out_item))
          on conflict do nothing;
    if true = any (p_key_reuses) then
      update backstitch.saga_key s
         set saga_id = p_item_saga[k.item], hash = k.hash, version = k.version, input = k.sent,
             generation = s.generation + (s.saga_id <> p_item_saga[k.item])::integer,
             removed = null, expires_at = null,
             sql_hash = case when s.saga_id = p_item_saga[k.item] then s.sql_hash end
        from (select unnest(p_key_item) as item, unnest(p_key_scope) as scope,
                     unnest(p_key_key) as key, unnest(p_key_reuses) as reuses,
                     unnest(p_key_hash) as hash, unnest(p_key_version) as version,
                     unnest(p_key_sent) as sent) k
       where k.reuses and s.scope = k.scope and s.key = k.key
         and (out_item is null or k.item <> all (out_item));
    end if;
    -- What SQL has reserved; callers' keys also if they were bound to the start while it waited.
    if cardinality(p_inbox_item) > 0 then
      update backstitch.saga_key s set hash = e.hash, input = e.sent
        from (select unnest(p_start_item) as item, unnest(p_start_hash) as hash,
                     unnest(p_start_sent) as sent) e
       where s.saga_id = p_item_saga[e.item] and s.hash = ''
         and (out_item is null or e.item <> all (out_item))
         and (s.scope = 'key'
              or exists (select 1 from unnest(p_key_item, p_key_scope, p_key_key) k(item, scope, key)
                          where k.item = e.item and k.scope = s.scope and k.key = s.key));
    end if;
    insert into backstitch.saga_key (saga_id, scope, key, hash, version, input)
      select p_item_saga[k.item], k.scope, k.key, k.hash, k.version, k.sent
        from (select unnest(p_key_item) as item, unnest(p_key_scope) as scope,
                     unnest(p_key_key) as key, unnest(p_key_hash) as hash,
                     unnest(p_key_version) as version, unnest(p_key_sent) as sent) k
       where (out_item is null or k.item <> all (out_item))
         and (cardinality(p_inbox_item) = 0 and true <> all (p_key_reuses)
              or not exists (select 1 from backstitch.saga_key s
                              where s.scope = k.scope and s.key = k.key and s.saga_id = p_item_saga[k.item]));
    -- A start that was promised and cannot be kept gives its business key back.
    if cardinality(p_inbox_item) > 0 then
      delete from backstitch.saga_key s
       using (select unnest(p_start_item) as item) e
       where s.saga_id = p_item_saga[e.item] and s.hash = '' and s.generation = 0
         and (out_item is null or e.item <> all (out_item));
      -- That of a later generation is not forgotten: the refused saga has FAILED, so the key can be used again.
      update backstitch.saga_key s set hash = 'refused'
        from (select unnest(p_start_item) as item) e
       where s.saga_id = p_item_saga[e.item] and s.hash = ''
         and (out_item is null or e.item <> all (out_item));
    end if;
  end if;

  insert into backstitch.saga_log (saga_id, sequence, at, type, path, data)
    select e.saga, e.sequence, e.at, e.type, e.path, e.data
      from (select unnest(p_event_item) as item, unnest(p_event_saga) as saga,
                   unnest(p_event_sequence) as sequence, unnest(p_event_at) as at,
                   unnest(p_event_type) as type, unnest(p_event_path) as path,
                   unnest(p_event_data) as data) e
     where out_item is null or e.item <> all (out_item);

  if cardinality(p_row_item) > 0 then
    update backstitch.saga g
       set last_sequence = e.sequence, ended_at = e.ended_at, wake_at = e.wake_at,
           pivot_passed = e.pivot_passed, status = e.status, failure_code = e.failure_code,
           output = e.output, failure = e.failure, expires_at = e.expires_at
      from (select unnest(p_row_item) as item, unnest(p_row_sequence) as sequence,
                   unnest(p_row_ended_at) as ended_at, unnest(p_row_wake_at) as wake_at,
                   unnest(p_row_pivot_passed) as pivot_passed, unnest(p_row_status) as status,
                   unnest(p_row_failure_code) as failure_code, unnest(p_row_output) as output,
                   unnest(p_row_failure) as failure,
                   unnest(p_row_expires_at) as expires_at) e
     where g.id = p_item_saga[e.item] and (out_item is null or e.item <> all (out_item));
  end if;

  if cardinality(p_audit_item) > 0 then
    insert into backstitch.audit (saga_id, actor, action, reason, detail)
      select p_item_saga[e.item], e.actor, e.action, e.reason, e.detail
        from (select unnest(p_audit_item) as item, unnest(p_audit_actor) as actor,
                     unnest(p_audit_action) as action, unnest(p_audit_reason) as reason,
                     unnest(p_audit_detail) as detail) e
       where out_item is null or e.item <> all (out_item);
  end if;

  if cardinality(p_inbox_item) > 0 then
    with settled as (
      delete from backstitch.inbox b
       using (select unnest(p_inbox_item) as item, unnest(p_inbox_id) as id,
                     unnest(p_inbox_error) as error) e
       where b.id = e.id and (out_item is null or e.item <> all (out_item))
       returning b.id, b.node, e.error)
    insert into backstitch.inbox_answer (id, node, error)
      select id, node, error from settled where node is not null;
  end if;

  if out_item is not null then
    return query
      select f.item, f.outcome, d.saga, d.same, d.business, g.generation, d.removed
        from unnest(out_item, out_outcome) f(item, outcome)
        left join unnest(regenerated_item, regenerated) g(item, generation) on f.outcome = 6 and g.item = f.item
        left join unnest(duplicate_item, duplicate_saga, duplicate_same, duplicate_business, duplicate_removed)
               d(item, saga, same, business, removed) on f.outcome = 1 and d.item = f.item;
  end if;
end $$;

-- The positions of those keys that another transaction holds: it has inserted them, or is about to give them to another
-- saga, and has not ended. Nobody can see such a key without meeting it, so each is tried and taken back;
-- one that is held costs a millisecond. A key that is known is not held, whoever it belongs to.
create function backstitch.blocked_keys(p_scope text[], p_key text[], p_reuses boolean[]) returns setof integer
language plpgsql as $$
begin
  perform set_config('lock_timeout', '1ms', true);
  for position in 1 .. cardinality(p_key) loop
    begin
      insert into backstitch.saga_key (saga_id, version, scope, key, hash)
        values ('00000000-0000-0000-0000-000000000000', 0, p_scope[position], p_key[position], '')
        on conflict on constraint saga_key_pkey do nothing;
      if not found and p_reuses[position] then
        perform 1 from backstitch.saga_key k
          where k.scope = p_scope[position] and k.key = p_key[position] for update nowait;
      end if;
      raise exception 'taken back' using errcode = 'BSKEY';
    exception
      when lock_not_available then return next position;
      when sqlstate 'BSKEY' then null;
    end;
  end loop;
end $$;
