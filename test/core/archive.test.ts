import { describe, expect, test } from 'vitest'
import type { Deps } from '../../core/ports.ts'
import {
  archiveItem,
  findAhead,
  findArchived,
  SPANS_MS,
  spanBit,
  spanOf,
  spentIdItem,
} from '../../core/quota/archive.ts'
import type { Counter } from '../../core/quota/counter.ts'
import { batchEntry, LAST_TIME, macOf, type RequestId } from '../../core/quota/request-id.ts'
import type { Table } from '../../core/table/table.ts'
import { DAY_MS } from '../../core/time.ts'
import { memoryTable } from '../machine/memory-table.ts'

const NOW_MS = Date.UTC(2026, 10, 21)
/** A time of an id, on its scale. */
const TIME = 0x20_00000000
const ACCOUNT = 'account'

let made = 0
/** A ring entry of an id of this time; 0 stands for an id without a time. */
function entryOf(time: number, mac = (made++).toString(36).padStart(6, '0')): Buffer {
  const entry = Buffer.alloc(11)
  entry.writeUIntBE(time, 0, 5)
  entry.write(mac, 5)
  return entry
}
const idOf = (time: number, ...entries: Buffer[]): RequestId => {
  const [first = entryOf(time), ...others] = entries
  return { time, entries: [first, ...others] }
}

/** An archive, and what a look into it costs. */
function open() {
  const calls = { get: 0, list: 0 }
  const memory = memoryTable()
  const table: Table = {
    ...memory,
    get: (key) => {
      calls.get += 1
      return memory.get(key)
    },
    list: (...query) => {
      calls.list += 1
      return memory.list(...query)
    },
  }
  let nonce = 0
  const deps = {
    table,
    clock: { nowMs: () => NOW_MS },
    ids: { hex: () => (nonce++).toString(16).padStart(10, '0') },
  } as unknown as Deps<'table'>
  const world = {
    deps,
    calls,
    spans: 0,
    ring: [] as Uint8Array[],
    /** Puts ids into items of their own. */
    alone: async (...ids: RequestId[]) => {
      for (const { entries } of ids) await memory.put(spentIdItem(deps, ACCOUNT, entries[0]))
    },
    /** Puts ids, sorted by time, into one item of a span. */
    together: async (span: number, ids: RequestId[], valid = true) => {
      const bytes = ids.map(({ time, entries }) => ({ time, bytes: entries[0] }))
      const made = archiveItem(deps, ACCOUNT, span, bytes, valid)
      await memory.put(made.item)
      world.spans |= spanBit(span)
      return made
    },
    /** Which of these ids are known, and the requests that it takes to see that. */
    look: async (...ids: RequestId[]) => {
      Object.assign(calls, { get: 0, list: 0 })
      const counter = { archiveSpans: world.spans, ring: new Set(world.ring) } as unknown as Counter
      const { spent, items } = await findArchived(deps, ACCOUNT, counter, ids)
      return { spent: ids.map((id) => spent.has(id)), items, ...calls }
    },
  }
  return world
}

describe('ids with an archive item of their own', () => {
  test('are found one by one with one read, whether or not they have a time', async () => {
    const archive = open()
    const [timed, untimed] = [idOf(TIME), idOf(0)]
    await archive.alone(timed, untimed)
    expect(await archive.look(timed)).toEqual({ spent: [true], items: 0, get: 1, list: 0 })
    expect(await archive.look(untimed)).toEqual({ spent: [true], items: 0, get: 1, list: 0 })
    expect(await archive.look(idOf(TIME))).toEqual({ spent: [false], items: 0, get: 1, list: 0 })
    expect(await archive.look(idOf(0))).toEqual({ spent: [false], items: 0, get: 1, list: 0 })
    expect(await archive.look()).toEqual({ spent: [], items: 0, get: 0, list: 0 })
  })

  test('are found with one list if they are close together, in any order, and each without a time with a read', async () => {
    const archive = open()
    const known = [idOf(TIME + 9), idOf(0), idOf(TIME)]
    const unknown = [idOf(TIME + 3), idOf(0)]
    await archive.alone(...known)
    const mixed = [known[0], unknown[0], known[1], unknown[1], known[2]] as RequestId[]
    expect(await archive.look(...mixed)).toEqual({
      spent: [true, false, true, false, true],
      items: 0,
      get: 2,
      list: 1,
    })
  })

  test('are listed from the first to the last of the times asked for', async () => {
    const archive = open()
    const [first, last] = [idOf(TIME), idOf(TIME + 50)]
    await archive.alone(first, last)
    // So many others, older and newer, would fill the list.
    for (let n = 1; n <= 70; n++) await archive.alone(idOf(TIME - n), idOf(TIME + 50 + n))
    expect(await archive.look(first, last, idOf(TIME + 20))).toEqual({
      spent: [true, true, false],
      items: 0,
      get: 0,
      list: 1,
    })
  })

  test.each([
    [63, 0],
    [64, 2],
    [65, 2],
  ])(
    'beside %i others are found, with %i more reads where the list does not hold all',
    async (others, get) => {
      const archive = open()
      const [first, unknown, last] = [idOf(TIME), idOf(TIME + 30_000), idOf(TIME + 30_001)]
      for (let n = 1; n < others; n++) await archive.alone(idOf(TIME + n))
      await archive.alone(first)
      if (others > 63) await archive.alone(last)
      expect(await archive.look(first, unknown, last)).toEqual({
        spent: [true, false, others > 63],
        items: 0,
        get,
        list: 1,
      })
    },
  )

  test('are found by any of their entries, whichever secret has made it', async () => {
    const archive = open()
    const [old, now] = [entryOf(TIME), entryOf(TIME)]
    const [older, other] = [entryOf(TIME + 1), entryOf(TIME + 1)]
    const untimed = [entryOf(0), entryOf(0)] as const
    await archive.alone(idOf(TIME, old), idOf(TIME + 1, older), idOf(0, untimed[1]))
    expect((await archive.look(idOf(TIME, now, old))).spent).toEqual([true])
    expect((await archive.look(idOf(TIME, now, old), idOf(TIME + 1, other, older))).spent).toEqual([
      true,
      true,
    ])
    expect((await archive.look(idOf(0, ...untimed))).spent).toEqual([true])
    expect((await archive.look(idOf(TIME, now), idOf(TIME + 1, other))).spent).toEqual([false, false])
  })

  test('that are ahead of a time: the first of them, which is none of that time itself', async () => {
    const archive = open()
    expect(await findAhead(archive.deps, ACCOUNT, TIME)).toBe(Infinity)
    await archive.alone(idOf(TIME), idOf(TIME + 2), idOf(TIME + 1), idOf(LAST_TIME))
    expect(await findAhead(archive.deps, ACCOUNT, TIME)).toBe(TIME + 1)
    expect(await findAhead(archive.deps, ACCOUNT, TIME + 2)).toBe(LAST_TIME)
    expect(await findAhead(archive.deps, ACCOUNT, LAST_TIME)).toBe(Infinity)
  })
})

describe('ids that share an archive item', () => {
  test('are found in each span that the counter says has items, and in no other', async () => {
    const archive = open()
    const ids = [idOf(TIME), idOf(TIME + 64)]
    await archive.together(0, ids)
    await archive.together(3, [idOf(TIME)])
    expect(await archive.look(...ids)).toMatchObject({ spent: [true, true], list: 3 })
    archive.spans = spanBit(3)
    expect(await archive.look(...ids)).toMatchObject({ spent: [false, false], list: 2 })
    archive.spans = 0
    expect(await archive.look(...ids)).toMatchObject({ spent: [false, false], list: 1 })
  })

  test('are found up to the span before the newest time of the item, which is read once', async () => {
    const archive = open()
    const ids = [idOf(TIME), idOf(TIME + 1), idOf(TIME + 64)]
    await archive.together(0, ids)
    for (const id of ids) expect(await archive.look(id)).toMatchObject({ spent: [true], items: 1 })
    // One list for ids whose ranges overlap, so the item counts once.
    expect(await archive.look(...ids)).toMatchObject({ spent: [true, true, true], items: 1, list: 2 })
    const far = idOf(TIME - 1)
    expect(await archive.look(far, ...ids)).toMatchObject({ spent: [false, true, true, true], items: 1 })
  })

  test('are looked up with one list where their ranges touch, and with two where they do not', async () => {
    const archive = open()
    const [first, next, far] = [idOf(TIME), idOf(TIME + 64), idOf(TIME + 129)]
    await archive.together(0, [first])
    await archive.together(0, [next])
    await archive.together(0, [far])
    expect(await archive.look(first, next)).toMatchObject({ spent: [true, true], list: 2 })
    expect(await archive.look(first, far)).toMatchObject({ spent: [true, true], list: 3 })
    expect(await archive.look(first, next, far)).toMatchObject({ spent: [true, true, true], list: 3 })
    // The range ends a span after the last of the ids.
    const late = idOf(TIME + 64)
    await archive.together(0, [late, idOf(TIME + 128)])
    expect(await archive.look(first, late)).toMatchObject({ spent: [true, true], list: 2 })
  })

  test.each([
    [199, 1],
    [200, 2],
    [450, 3],
  ])('are found among %i items of a range, which take %i pages', async (items, pages) => {
    const archive = open()
    const id = idOf(TIME)
    for (let n = 1; n < items; n++) await archive.together(1, [idOf(TIME + n)])
    await archive.together(1, [id, idOf(TIME + 512)])
    expect(await archive.look(id)).toEqual({ spent: [true], items, get: 1, list: pages })
  })

  test('count only with their batch: as long as its entry is in the ring, or once the item is valid', async () => {
    const archive = open()
    const [pending, committed] = [idOf(TIME), idOf(TIME + 1)]
    await archive.together(1, [pending], false)
    const { time, nonce } = await archive.together(1, [committed], false)
    archive.ring = [batchEntry(1, time, nonce)]
    expect(await archive.look(pending, committed)).toMatchObject({ spent: [false, true], items: 1 })
  })

  test('are told from ids whose bytes only seem to be there, across two that follow each other', async () => {
    const archive = open()
    const stored = [idOf(TIME, entryOf(TIME, 'abcdef')), idOf(TIME, entryOf(TIME, 'ghijkl'))]
    await archive.together(0, stored)
    const across = idOf(TIME, entryOf(TIME, 'defghi'))
    expect(await archive.look(across)).toMatchObject({ spent: [false] })
    // The same bytes again, at the place of an id of its own.
    await archive.together(0, [...stored, across])
    expect(await archive.look(across)).toMatchObject({ spent: [true] })
  })

  test('are found by any of their entries', async () => {
    const archive = open()
    const [old, now] = [entryOf(TIME), entryOf(TIME)]
    await archive.together(0, [idOf(TIME, old)])
    expect(await archive.look(idOf(TIME, now, old))).toMatchObject({ spent: [true] })
    expect(await archive.look(idOf(TIME, now))).toMatchObject({ spent: [false] })
  })
})

test('an archive item is kept for four days, has its ids in order, and says whether it is valid by itself', async () => {
  const { deps } = open()
  const ids = [entryOf(TIME), entryOf(TIME + 5)]
  const timed = ids.map((bytes, n) => ({ bytes, time: TIME + n * 5 }))
  const { item, time } = archiveItem(deps, ACCOUNT, 0, timed, true)
  const ttl = (NOW_MS + 4 * DAY_MS) / 1000
  expect(item).toMatchObject({ macs: Buffer.concat(ids.map(macOf)), valid: true, ttl })
  expect(time).toBe(TIME + 5)
  expect(archiveItem(deps, ACCOUNT, 0, timed, false).item).not.toHaveProperty('valid')
  expect(spentIdItem(deps, ACCOUNT, entryOf(TIME))).toMatchObject({ ttl })
})

test('the span of ids is the shortest that covers them', () => {
  expect(SPANS_MS.map((ms) => [spanOf(ms - 1), spanOf(ms), spanOf(ms + 1)])).toEqual(
    SPANS_MS.map((_, at) => [at, at, at + 1 < SPANS_MS.length ? at + 1 : -1]),
  )
})
