"""Following commits as they happen."""

from __future__ import annotations

import asyncio
import gc

import pytest

from tests.store.samples import batch, log, point, span, with_uid


def test_a_follower_hears_of_each_commit_with_the_ids_it_added(store):
    async def follow():
        arrivals = store.arrivals()
        written = await store.write(batch(log(), span(), point()))
        heard = await anext(arrivals)
        return written, heard

    written, heard = store.run(follow())
    assert heard == written
    assert (len(heard.logs), len(heard.spans), heard.points) == (1, 1, 1)


def test_a_slow_follower_gets_several_commits_as_one(store):
    async def follow():
        arrivals = store.arrivals()
        ids = []
        for _ in range(10):
            ids += (await store.write(batch(log()))).logs
        await asyncio.sleep(0)
        heard = await anext(arrivals)
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(anext(arrivals), 0.05)
        return ids, heard.logs

    ids, heard = store.run(follow())
    assert heard == ids


def test_duplicates_are_not_arrivals(store):
    async def follow():
        once = with_uid(log())
        await store.write(batch(once))
        arrivals = store.arrivals()
        await store.write(batch(once))
        await store.write(batch(log()))
        return await anext(arrivals)

    assert len(store.run(follow()).logs) == 1


def test_a_sender_is_told_how_many_were_there_already(store):
    once = with_uid(log())
    assert store.put(once, span()).duplicates == 0
    assert store.put(once, once, log()).duplicates == 2


def test_every_follower_hears_everything(store):
    async def follow():
        followers = [store.arrivals() for _ in range(3)]
        written = await store.write(batch(log()))
        return written, [await anext(follower) for follower in followers]

    written, heard = store.run(follow())
    assert heard == [written] * 3


def test_following_ends_when_the_store_closes(store):
    async def follow():
        async def collect():
            return [arrivals async for arrivals in following]

        following = store.arrivals()
        collecting = asyncio.ensure_future(collect())
        await store.write(batch(log()))
        await store.close()
        return await asyncio.wait_for(collecting, 10)

    assert [len(arrivals.logs) for arrivals in store.run(follow())] == [1]


def test_a_follower_that_left_is_forgotten(store):
    async def follow():
        arrivals = store.arrivals()
        assert len(store._followers._all) == 1
        del arrivals
        gc.collect()
        return len(store._followers._all)

    assert store.run(follow()) == 0
