-- Why: who owns which shard, in one round trip a renewal. Everything is judged by this database's now().
-- Whoever takes a shard from a node locks that node's row FOR UPDATE first; see append_batch for the
-- other half of the fence. Rows of other nodes are locked with SKIP LOCKED, so takers never wait for
-- each other and cannot deadlock.

-- A node's fair share: all living nodes fill up to the same level, each to its own limit at most, until
-- the 256 shards are held. Null limits nothing: the nodes together do not want them all.
create function backstitch.fair_share(p_node text) returns integer language sql stable as $$
  with living as (select name, shards_max from backstitch.node where expires_at > now()),
  level as (
    select min(l) as level from generate_series(1, 256) l
     where (select sum(least(shards_max, l)) from living) >= 256)
  select least(n.shards_max, coalesce(level.level, 256))::integer
    from backstitch.node n, level where n.name = p_node
$$;

create function backstitch.renew_leases(
  p_node text, p_lease_ms bigint, p_shards_max integer, p_first boolean, p_address text)
returns table (database_now bigint, shards text, epochs text, surplus integer)
language plpgsql as $$
#variable_conflict use_column
declare
  share integer;
  held integer;
  taken integer;
  loser text;
begin
  insert into backstitch.node as n (name, expires_at, renewed_at, started_at, shards_max, address)
    values (p_node, now() + p_lease_ms * interval '1 millisecond', now(), now(), p_shards_max, p_address)
    on conflict (name) do update
      set expires_at = excluded.expires_at, renewed_at = excluded.renewed_at,
          shards_max = excluded.shards_max, address = excluded.address,
          started_at = case when p_first then excluded.started_at else n.started_at end;

  -- An earlier process of this name may still be appending: wait for it, then shut it out.
  if p_first then
    perform 1 from backstitch.node n where n.name = p_node for update;
    update backstitch.shard s set epoch = s.epoch + 1 where s.node = p_node;
  end if;

  share := backstitch.fair_share(p_node);
  select count(*) into held from backstitch.shard s where s.node = p_node;

  if held < share then
    update backstitch.shard s set node = p_node, epoch = s.epoch + 1
     where s.shard in (select f.shard from backstitch.shard f where f.node is null
                        order by f.shard limit share - held for update skip locked);
    get diagnostics taken = row_count;
    held := held + taken;
  end if;

  if held < share then
    for loser in select n.name from backstitch.node n
                  where n.expires_at <= now() and n.name <> p_node
                  order by n.expires_at, n.name for update skip locked loop
      update backstitch.shard s set node = p_node, epoch = s.epoch + 1
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
   where n.name in (select d.name from backstitch.node d
                     where d.expires_at < now() - interval '1 hour'
                       and not exists (select 1 from backstitch.shard s where s.node = d.name)
                       for update skip locked);

  return query
    select floor(extract(epoch from clock_timestamp()) * 1000)::bigint,
           string_agg(s.shard::text, ',' order by s.shard), string_agg(s.epoch::text, ',' order by s.shard),
           greatest(held - share, 0)
      from backstitch.shard s where s.node = p_node;
end $$;

-- Some of them, to a node that has fewer. The lock waits for appends on their way. Others are told at
-- once that there is something to take; who does not hear it renews soon.
create function backstitch.give_up_shards(p_node text, p_shards smallint[]) returns void
language plpgsql as $$
begin
  perform 1 from backstitch.node n where n.name = p_node for update;
  update backstitch.shard set node = null where node = p_node and shard = any (p_shards);
  perform pg_notify('backstitch_shards', '');
end $$;

create function backstitch.release_leases(p_node text) returns void language plpgsql as $$
begin
  perform 1 from backstitch.node n where n.name = p_node for update;
  update backstitch.shard set node = null where node = p_node;
  delete from backstitch.node where name = p_node;
  perform pg_notify('backstitch_shards', '');
end $$;
