-- Why: participants have to promise that a key has its effect once, and that an action does not land
-- after its undo. These functions keep that promise in the participant's own transaction, beside its
-- work. This file needs nothing else of the schema and may be applied again: `backstitch guard-sql`
-- prints it for a participant's own database. docs/participant-contract.md says how to use it.

do $$
begin
  if to_regnamespace('backstitch') is null then create schema backstitch; end if;
end $$;

create table if not exists backstitch.guarded_key (
  changed_at timestamptz not null default now(),
  standing   text        not null,
  key        text        collate "C" not null,
  answer     jsonb,
  constraint guarded_key_pkey primary key (key),
  constraint guarded_key_standing_known check (standing in ('done', 'refused', 'closed'))
);
comment on table backstitch.guarded_key is
  'What became of the key of each action: done, refused by a rule of the participant, or closed by an undo.';
create index if not exists guarded_key_by_age on backstitch.guarded_key (changed_at);

-- Takes the key for this transaction: whoever else asks for it waits until this one ends, and is then
-- answered by how it ended.
--   forward     proceed   do the work, in this transaction; then guard_remember
--               repeated  it was done or refused before: give guard_answer again
--               refused   its undo came first: do nothing, answer 409
--   compensate  proceed   the effect stands: undo it, in this transaction
--               nothing   no effect stands: answer success; a later action is refused
--               repeated  was answered before: answer success
--   probe       repeated  it was done or refused before: give guard_answer again
--               nothing   not seen or undone: answer 404; a later action is refused, so the probe is sealed
-- `p_key` is the key of the action in every phase: in an undo that is the header Saga-Compensates, in a probe Saga-Probes.
create or replace function backstitch.guard(p_key text, p_phase text) returns text
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  known text;
begin
  if p_phase is null or p_phase not in ('forward', 'compensate', 'probe') then
    raise exception 'there is no phase %', coalesce(quote_literal(p_phase), 'null')
      using errcode = 'invalid_parameter_value',
            hint = 'Give what the header Saga-Phase says: forward, compensate or probe.';
  end if;
  if p_key is null or length(p_key) not between 1 and 200 then
    raise exception 'a key has 1 to 200 characters'
      using errcode = 'invalid_parameter_value',
            hint = 'Give the header Idempotency-Key of the action; in an undo Saga-Compensates, in a probe Saga-Probes.';
  end if;
  loop
    insert into backstitch.guarded_key (key, standing)
      values (p_key, case p_phase when 'forward' then 'done' else 'closed' end)
      on conflict (key) do nothing;
    if found then return case p_phase when 'forward' then 'proceed' else 'nothing' end; end if;
    select standing into known from backstitch.guarded_key where key = p_key for update;
    -- Not found: it was removed for its age in between.
    exit when found;
  end loop;
  if p_phase = 'compensate' and known <> 'closed' then
    update backstitch.guarded_key set standing = 'closed', changed_at = now() where key = p_key;
  end if;
  return case p_phase
    when 'forward' then case known when 'closed' then 'refused' else 'repeated' end
    when 'probe' then case known when 'closed' then 'nothing' else 'repeated' end
    else case known when 'done' then 'proceed' when 'refused' then 'nothing' else 'repeated' end
  end;
end $$;

-- The answer to give again when the action is repeated. `p_done` false: a rule of the participant refused the
-- action, for good; nothing was done, so an undo finds nothing.
create or replace function backstitch.guard_remember(p_key text, p_answer jsonb, p_done boolean default true)
returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  update backstitch.guarded_key
     set answer = p_answer, standing = case when p_done then 'done' else 'refused' end
   where key = p_key and standing <> 'closed';
  if not found then
    raise exception 'the action of key % is unknown or undone', coalesce(quote_literal(p_key), 'null')
      using errcode = 'object_not_in_prerequisite_state',
            hint = 'Ask guard(key, ''forward'') first, in the same transaction, and remember after `proceed`. '
                   'A later decision: roll it back, the undo came first.';
  end if;
end $$;

-- Null: none was remembered.
create or replace function backstitch.guard_answer(p_key text) returns jsonb
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select answer from backstitch.guarded_key where key = p_key
$$;

-- For the owner of the table alone, as whom it therefore does not act: who forgets a key lets its action be done twice.
-- At most `p_limit` keys that nothing happened to for so long; how many it were. Keys that a transaction
-- holds are left for the next time. Call it until it says less than `p_limit`.
create or replace function backstitch.guard_forget(p_older_than interval, p_limit integer default 10000)
returns integer
language plpgsql security invoker set search_path = pg_catalog, pg_temp as $$
declare
  removed integer;
begin
  if p_older_than is null or p_older_than <= interval '0' or p_limit is null or p_limit < 1 then
    raise exception 'an age and a number above zero are needed'
      using errcode = 'invalid_parameter_value',
            hint = 'Keep keys for at least the timeout of the longest saga plus 24 hours.';
  end if;
  delete from backstitch.guarded_key
   where key in (select old.key from backstitch.guarded_key old
                  where old.changed_at < now() - p_older_than
                  order by old.changed_at limit p_limit for update skip locked);
  get diagnostics removed = row_count;
  return removed;
end $$;

-- Who may is for the owner of the database to say; the table stays closed.
revoke all on function backstitch.guard(text, text) from public;
revoke all on function backstitch.guard_remember(text, jsonb, boolean) from public;
revoke all on function backstitch.guard_answer(text) from public;
revoke all on function backstitch.guard_forget(interval, integer) from public;
