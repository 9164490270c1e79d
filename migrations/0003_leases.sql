-- Why: who owns which shard, in one round trip a renewal. Everything is judged by this database's now().
-- Whoever takes shards from a node changes that node's row in fence first; see append_batch for the other
-- half of the fence. Rows are locked in the order node, fence, shard, and those of other nodes with SKIP
-- LOCKED, so takers never wait for each other and cannot deadlock.

-- Which history of the database the nodes work on. A copy of a database can do everything that the original can, and
-- its nodes would do it twice: here stands of which cluster and on which timeline nodes worked last, and when. A new
-- lineage begins when the database is found to have gone back or to be on a later timeline, and when an operator adopts
-- a copy; what a node remembers of another lineage is worth nothing.
create table backstitch.lineage (
  only_row          boolean     not null default true,
  hold              boolean     not null default false,
  number            bigint      not null default 1,
  system_identifier bigint,
  timeline          bigint,
  alive_at          timestamptz,
  constraint lineage_pkey primary key (only_row),
  constraint lineage_is_one_row check (only_row)
) with (fillfactor = 10, autovacuum_vacuum_threshold = 100, autovacuum_vacuum_scale_factor = 0);
insert into backstitch.lineage default values;
comment on column backstitch.lineage.system_identifier is 'Of the cluster; null where no node may read it.';
comment on column backstitch.lineage.alive_at is 'When a node renewed its lease last, give or take a minute.';
comment on column backstitch.lineage.hold is 'Set by an operator: no node takes shards, and those that have some give them back.';

-- Records where the caller works. A running node calls it when it has found that the database is another one than
-- before; `p_known` is the number that it has worked under. Of several nodes that find the same, the first one begins
-- the lineage.
create function backstitch.enter_lineage(p_system bigint, p_timeline bigint, p_known bigint) returns bigint
language plpgsql as $$
declare
  kept backstitch.lineage;
begin
  select * into kept from backstitch.lineage for update;
  update backstitch.lineage
     set system_identifier = coalesce(p_system, kept.system_identifier),
         timeline = coalesce(p_timeline, kept.timeline),
         number = case when kept.number > p_known then kept.number else p_known + 1 end
  returning number into kept.number;
  return kept.number;
end $$;

-- What a node asks before it works on a database for the first time: `differs` is null, or why it must not. Then
-- nothing is recorded, unless `p_adopt` says that this copy is the one to work on. A later timeline alone is a
-- failover if nodes were alive shortly before.
create function backstitch.begin_work(p_system bigint, p_timeline bigint, p_adopt boolean)
returns table (number bigint, differs text, system_identifier bigint, timeline bigint, alive_at timestamptz)
language plpgsql as $$
#variable_conflict use_column
declare
  kept backstitch.lineage;
  difference text;
begin
  select * into kept from backstitch.lineage for update;
  difference := case when p_system <> kept.system_identifier then 'system'
                     when p_timeline < kept.timeline then 'behind'
                     when p_timeline > kept.timeline and kept.alive_at < now() - interval '10 minutes' then 'restored'
                end;
  if difference is not null and not p_adopt then
    return query select kept.number, difference, kept.system_identifier, kept.timeline, kept.alive_at;
    return;
  end if;
  return query
    update backstitch.lineage l
       set system_identifier = coalesce(p_system, kept.system_identifier),
           timeline = coalesce(p_timeline, kept.timeline),
           number = kept.number + (p_adopt or coalesce(p_timeline > kept.timeline, false))::integer
    returning l.number, null::text, l.system_identifier, l.timeline, l.alive_at;
end $$;

-- A node's fair share: all living nodes fill up to the same level, each to its own limit at most, until
-- the 256 shards are held. Null limits nothing: the nodes together do not want them all. The table is read
-- once: under an old snapshot that is the whole cost.
create function backstitch.fair_share(p_node text) returns integer language sql stable as $$
  with known as materialized (select name, shards_max, expires_at > now() as is_alive from backstitch.node),
  level as (
    select min(l) as level from generate_series(1, 256) l
     where (select sum(least(shards_max, l)) from known where is_alive) >= 256)
  select least(n.shards_max, coalesce(level.level, 256))::integer
    from known n, level where n.name = p_node
$$;

-- Whether any of these server processes still exists, but for the caller's own. A role that may not see
-- when another role's process has started takes it for the same one.
create function backstitch.has_sessions(
  p_pids integer[], p_starts bigint[], p_own_pids integer[], p_own_starts bigint[])
returns boolean language sql stable as $$
  select exists (
    select 1 from unnest(p_pids, p_starts) s(pid, started_at)
      join pg_stat_activity a on a.pid = s.pid
     where coalesce((extract(epoch from a.backend_start) * 1000000)::bigint = s.started_at, true)
       and not exists (select 1 from unnest(p_own_pids, p_own_starts) o(pid, started_at)
                        where o.pid = s.pid and o.started_at = s.started_at))
$$;

-- Makes the caller the process of this name. A new process (`p_first`) takes the name over from an earlier one
-- that has no session any more or whose lease has ended, and with it the shards: it waits for appends that the
-- earlier one still has in flight, and then shuts it out. Returns the earlier one's row if that keeps the name.
create function backstitch.enter_node(
  p_node text, p_incarnation uuid, p_first boolean, p_lease_ms bigint, p_shards_max integer, p_address text,
  p_session_pids integer[], p_session_starts bigint[])
returns backstitch.node
language plpgsql as $$
declare
  holder backstitch.node;
begin
  loop
    insert into backstitch.node (name, incarnation, expires_at, renewed_at, started_at, shards_max, address,
                                 session_pids, session_starts)
      values (p_node, p_incarnation, now() + p_lease_ms * interval '1 millisecond', now(), now(), p_shards_max,
              p_address, p_session_pids, p_session_starts)
      on conflict (name) do nothing;
    exit when found;
    select * into holder from backstitch.node n where n.name = p_node for update;
    continue when not found;
    if not p_first
       or (holder.expires_at > now()
           and backstitch.has_sessions(holder.session_pids, holder.session_starts, p_session_pids, p_session_starts)) then
      return holder;
    end if;
    update backstitch.node n
       set incarnation = p_incarnation, expires_at = now() + p_lease_ms * interval '1 millisecond',
           renewed_at = now(), started_at = now(), shards_max = p_shards_max, address = p_address,
           session_pids = p_session_pids, session_starts = p_session_starts
     where n.name = p_node;
    exit;
  end loop;
  insert into backstitch.fence (node, incarnation) values (p_node, p_incarnation)
    on conflict (node) do update set incarnation = excluded.incarnation, generation = default;
  update backstitch.shard s set epoch = s.epoch + 1, suspect = not s.proven, proven = false
   where s.node = p_node;
  return null;
end $$;

-- `namesake` is the address of another process that holds the name: nothing was renewed; nor if the `lineage` is not
-- the one that the caller works under (0: it works under none yet). `p_epoch_floor` is the highest epoch that the
-- caller held in an earlier lineage: what it holds, and what it takes, gets an epoch above that, so that nothing it
-- decided then can be written. `renewals` counts those of the row that was inserted at `row_started_at` (in
-- microseconds).
create function backstitch.renew_leases(
  p_node text, p_incarnation uuid, p_first boolean, p_lease_ms bigint, p_shards_max integer, p_address text,
  p_session_pids integer[], p_session_starts bigint[], p_lineage bigint default 0, p_epoch_floor bigint default 0)
returns table (database_now bigint, shards text, epochs text, surplus integer, suspects text,
               generation bigint, namesake text, namesake_renewed_at bigint, lineage bigint, renewals bigint,
               hold boolean, row_started_at bigint)
language plpgsql as $$
#variable_conflict use_column
declare
  holder backstitch.node;
  lineage_number bigint;
  is_on_hold boolean;
  share integer;
  held integer;
  taken integer;
  loser text;
begin
  select l.number, l.hold into lineage_number, is_on_hold from backstitch.lineage l;
  if p_lineage not in (0, lineage_number) then
    return query select 0::bigint, null::text, null::text, 0, null::text, null::bigint, null::text, null::bigint,
                        lineage_number, null::bigint, is_on_hold, null::bigint;
    return;
  end if;
  perform 1 from backstitch.lineage l
    where l.alive_at is null or l.alive_at not between now() - interval '1 minute' and now() for update skip locked;
  if found then update backstitch.lineage set alive_at = now(); end if;

  update backstitch.node n
     set expires_at = now() + p_lease_ms * interval '1 millisecond', renewed_at = now(), renewals = n.renewals + 1,
         shards_max = p_shards_max, address = p_address,
         session_pids = p_session_pids, session_starts = p_session_starts
   where n.name = p_node and n.incarnation = p_incarnation;
  if not found then
    holder := backstitch.enter_node(p_node, p_incarnation, p_first, p_lease_ms, p_shards_max, p_address,
                                    p_session_pids, p_session_starts);
    if holder.name is not null then
      return query
        select floor(extract(epoch from clock_timestamp()) * 1000)::bigint, null::text, null::text, 0, null::text,
               null::bigint, holder.address, floor(extract(epoch from holder.renewed_at) * 1000)::bigint,
               lineage_number, null::bigint, is_on_hold, null::bigint;
      return;
    end if;
  end if;

  if exists (select 1 from backstitch.shard s where s.node = p_node and s.epoch <= p_epoch_floor) then
    update backstitch.fence f set generation = default where f.node = p_node;
    update backstitch.shard s set epoch = p_epoch_floor + 1 where s.node = p_node and s.epoch <= p_epoch_floor;
  end if;

  share := case when is_on_hold then 0 else backstitch.fair_share(p_node) end;
  select count(*) into held from backstitch.shard s where s.node = p_node;

  if held < share then
    update backstitch.shard s set node = p_node, epoch = greatest(s.epoch, p_epoch_floor) + 1, suspect = not s.proven, proven = false
     where s.shard in (select f.shard from backstitch.shard f where f.node is null
                        order by f.shard limit share - held for update skip locked);
    get diagnostics taken = row_count;
    held := held + taken;
  end if;

  if held < share then
    for loser in select n.name from backstitch.node n join backstitch.fence f on f.node = n.name
                  where n.expires_at <= now() and n.name <> p_node
                  order by n.expires_at, n.name for update skip locked loop
      update backstitch.fence f set generation = default where f.node = loser;
      update backstitch.shard s set node = p_node, epoch = greatest(s.epoch, p_epoch_floor) + 1, suspect = not s.proven, proven = false
       where s.shard in (select f.shard from backstitch.shard f where f.node = loser
                          order by f.shard limit share - held);
      get diagnostics taken = row_count;
      held := held + taken;
      delete from backstitch.node n
       where n.name = loser and not exists (select 1 from backstitch.shard s where s.node = loser);
      exit when held >= share;
    end loop;
  end if;

  -- Who has nothing and has not been heard of for long is no node any more.
  delete from backstitch.node n
   where n.name in (select d.name from backstitch.node d join backstitch.fence f on f.node = d.name
                     where d.expires_at < now() - interval '1 hour'
                       and not exists (select 1 from backstitch.shard s where s.node = d.name)
                       for update skip locked);

  return query
    select floor(extract(epoch from clock_timestamp()) * 1000)::bigint,
           string_agg(s.shard::text, ',' order by s.shard), string_agg(s.epoch::text, ',' order by s.shard),
           greatest(held - share, 0),
           string_agg(s.shard::text, ',' order by s.shard) filter (where s.suspect),
           (select f.generation from backstitch.fence f where f.node = p_node), null::text, null::bigint,
           lineage_number, (select n.renewals from backstitch.node n where n.name = p_node), is_on_hold,
           (select (extract(epoch from n.started_at) * 1000000)::bigint from backstitch.node n where n.name = p_node)
      from backstitch.shard s where s.node = p_node;
end $$;

-- Some of them, to a node that has fewer. The update of the fence waits for appends in flight. The node notifies the
-- others after the commit; one that does not hear it renews soon. An earlier process of the name changes nothing
-- here, nor below.
create function backstitch.give_up_shards(p_node text, p_incarnation uuid, p_shards smallint[]) returns void
language plpgsql as $$
begin
  update backstitch.fence set generation = default where node = p_node and incarnation = p_incarnation;
  if not found then return; end if;
  -- Whoever can give a shard up has survived it.
  update backstitch.shard set node = null, proven = true where node = p_node and shard = any (p_shards);
end $$;

create function backstitch.release_leases(p_node text, p_incarnation uuid) returns void language plpgsql as $$
begin
  perform 1 from backstitch.node n where n.name = p_node and n.incarnation = p_incarnation for update;
  if not found then return; end if;
  update backstitch.fence set generation = default where node = p_node;
  update backstitch.shard set node = null, proven = true where node = p_node;
  delete from backstitch.node where name = p_node;
end $$;

create function backstitch.prove_shards(p_node text, p_incarnation uuid, p_shards smallint[]) returns void
language sql as $$
  update backstitch.shard set proven = true, suspect = false
   where node = p_node and shard = any (p_shards)
     and exists (select 1 from backstitch.fence f where f.node = p_node and f.incarnation = p_incarnation)
$$;

-- What a node of a suspect shard works on is counted here before, and taken back when it has survived it.
create table backstitch.strike (
  saga_id uuid        not null,
  strikes bigint      not null default 1,
  at      timestamptz not null default now(),
  constraint strike_pkey primary key (saga_id)
);
create function backstitch.strike(p_saga uuid, p_again boolean) returns bigint language sql as $$
  insert into backstitch.strike as s (saga_id) values (p_saga)
    on conflict (saga_id) do update set strikes = s.strikes + 1, at = now() where p_again
  returning strikes
$$;
