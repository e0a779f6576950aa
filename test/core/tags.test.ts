import { describe, expect, test } from 'vitest'
import { DomainError } from '../../core/errors.ts'
import type { Ports } from '../../core/ports.ts'
import { consumeBatch } from '../../core/quota/batch.ts'
import { consumeUnits } from '../../core/quota/consume.ts'
import { readUsage } from '../../core/quota/usage.ts'
import { splitByTag } from '../../core/quota/usage-tags.ts'
import { TAGS_PREFIX } from '../../core/table/keys.ts'
import { ConditionFailed, type Table } from '../../core/table/table.ts'
import { openQuotaWorld } from '../machine/quota-world.ts'
import { recordingLog } from '../support/log.ts'
import { metered } from '../support/metered-table.ts'
import { sizeOf } from '../support/quota.ts'

const DAY_MS = 24 * 3_600_000

type World = Awaited<ReturnType<typeof openQuotaWorld>>

/** A world and its use by tag on its first day, which is noon. */
async function open() {
  const world = await openQuotaWorld({ left: 100_000 })
  const key = world.keys[0] ?? ''
  const log = recordingLog(world.nowMs)
  const ports = { ...world.ports, log: log.log }
  const tags = async (through = ports) => tagsOf(through, world)
  return { world, key, ports, tags, lines: log.lines }
}

/** Units by tag and key of each day. */
async function tagsOf(ports: Ports, { accountId }: World) {
  const { days } = await readUsage(ports, accountId, { withTags: true })
  return days.map(({ units, keys }) => [
    units,
    ...keys.flatMap(({ tags = [] }) => tags.map(({ tag, units }) => `${tag ?? '-'}=${units}`)),
  ])
}

/** Ports whose table answers the updates of tags by `change`. */
const withTagUpdate = (
  ports: Ports,
  change: (run: () => ReturnType<Table['update']>, isOnce: boolean | undefined) => unknown,
): Ports => ({
  ...ports,
  table: {
    ...ports.table,
    update: ((key, set, condition, options) => {
      const run = () => ports.table.update(key, set, condition, options)
      return key.sk.startsWith(TAGS_PREFIX) ? change(run, options?.once) : run()
    }) as Table['update'],
  },
})

const outage = () => new DomainError('temporarily_unavailable')

describe('use by tag', () => {
  test('a spend without a tag, a check and a repeat count no tag and cost what they cost without tags', async () => {
    const { world, key, ports, tags } = await open()
    const { table, units } = metered(ports.table)
    const through = { ...ports, table }
    const requestId = world.timed()
    await consumeUnits(through, key, { units: 5, requestId })
    await consumeUnits(through, key, { units: 0, tag: 'check' })
    expect(units).toEqual({ writes: 1, reads: 1 })
    expect(await consumeUnits(through, key, { units: 5, requestId, tag: 'repeat' })).toMatchObject({
      replayed: true,
    })
    expect(await tags()).toEqual([[5]])
  })

  test('a known tag costs one write unit, whatever tags, keys and counts the day has', async () => {
    const { world, key, ports, tags } = await open()
    const { table, units } = metered(ports.table)
    const through = { ...ports, table }
    const long = Array.from({ length: 60 }, (_, n) => String(n).padStart(64, 'x'))
    const all = long.map((tag) => ({ units: 1_000, tag }))
    await consumeBatch(through, key, all)
    Object.assign(units, { writes: 0, reads: 0 })
    for (const tag of long.slice(0, 5)) await consumeUnits(through, key, { units: 1, tag })
    expect(units).toEqual({ writes: 10, reads: 0 })
    Object.assign(units, { writes: 0, reads: 0 })
    await consumeBatch(through, key, all.slice(0, 30))
    expect(units).toEqual({ writes: 2, reads: 1 })
    const items = await world.table.list(`ACCOUNT#${world.accountId}`, `${TAGS_PREFIX}`)
    expect(items.map((item) => sizeOf(item) < 1024)).toEqual([false, true])
    expect((await tags())[0]?.slice(0, 2)).toEqual([90_005, 'other=10000'])
  })

  test('50 tags a day are counted one by one and all others as `other`, however many are new at once', async () => {
    const { key, ports, tags } = await open()
    // Each of the containers knows nothing of what the others add.
    const containers = Array.from({ length: 4 }, () => ({ ...ports, table: { ...ports.table } }))
    await Promise.all(
      Array.from({ length: 80 }, (_, n) =>
        consumeUnits(containers[n % 4] ?? ports, key, { units: 2, tag: `tag-${n % 70}` }),
      ),
    )
    await consumeUnits(ports, key, { units: 1, tag: 'other' })
    const [[units, ...shown] = []] = await tags()
    const counted = shown.map((each) => Number(String(each).split('=')[1]))
    expect([units, shown.length, counted.reduce((sum, each) => sum + each, 0)]).toEqual([161, 51, 161])
    expect(shown.filter((each) => String(each).startsWith('other='))).toHaveLength(1)
    expect(shown.filter((each) => String(each).startsWith('-'))).toEqual([])
  })

  test('a tag counts on the day on which its units count as used', async () => {
    const { world, key, ports, tags } = await open()
    await consumeUnits(ports, key, { units: 1, tag: 'a' })
    world.advance(DAY_MS)
    await consumeUnits(ports, key, { units: 8, tag: 'a' })
    await consumeBatch(ports, key, [{ units: 2, tag: 'b' }, { units: 4 }])
    expect(await tags()).toEqual([
      [1, 'a=1'],
      [14, 'a=8', 'b=2', '-=4'],
    ])
  })

  test('of eight keys over a month is complete, though one page does not hold it', async () => {
    const world = await openQuotaWorld({ left: 100_000, keyCount: 8 })
    for (let day = 0; day < 30; day++) {
      if (day > 0) world.advance(DAY_MS)
      for (const [n, key] of world.keys.entries())
        await consumeUnits(world.ports, key, { units: n + 1, tag: `tag-${day % 3}` })
    }
    const { days } = await readUsage(world.ports, world.accountId, { withTags: true })
    const shown = days.map(({ keys }) =>
      keys.map(({ tags }) => tags?.map(({ tag, units }) => `${tag}=${units}`).join()),
    )
    const wanted = (day: number) => Array.from({ length: 8 }, (_, n) => `tag-${day % 3}=${n + 1}`)
    expect(shown.map((each) => each.toSorted())).toEqual(Array.from({ length: 30 }, (_, day) => wanted(day)))
  })

  test('units whose count was refused are spent and answered, have no tag, and leave a line', async () => {
    const { world, key, ports, tags, lines } = await open()
    const refusing = withTagUpdate(ports, async () => {
      throw outage()
    })
    expect(await consumeUnits(refusing, key, { units: 3, tag: 'a' })).toMatchObject({ used: 3 })
    await consumeUnits(ports, key, { units: 4, tag: 'b' })
    expect(await tags()).toEqual([[7, 'b=4', '-=3']])
    expect(lines).toMatchObject([
      { what: 'units may count as used without their tag', accountId: world.accountId },
    ])
  })

  test('a count whose reply was lost is not counted again', async () => {
    const { key, ports, tags, lines } = await open()
    await consumeUnits(ports, key, { units: 1, tag: 'a' })
    let lost = 0
    const losing = withTagUpdate(ports, async (run, isOnce) => {
      const item = await run()
      // The table sends an update again that may be sent twice: the one that numbers the tag.
      if (!isOnce) return item
      lost += 1
      throw outage()
    })
    await consumeUnits(losing, key, { units: 3, tag: 'b' })
    expect([await tags(), lost]).toEqual([[[4, 'b=3', 'a=1']], 1])
    expect(lines).toHaveLength(1)
  })

  test('a spend whose own reply was lost counts as use without a tag, and leaves a line', async () => {
    const { world, key, ports, tags, lines } = await open()
    let isLost = false
    const losing: Ports = {
      ...ports,
      table: {
        ...ports.table,
        update: async (...request) => {
          const item = await ports.table.update(...request)
          if (isLost) return item
          isLost = true
          throw new ConditionFailed(new Map([[0, item]]), true)
        },
      },
    }
    const answer = await consumeUnits(losing, key, { units: 3, requestId: world.timed(), tag: 'a' })
    expect(answer).not.toHaveProperty('replayed')
    expect([await tags(), lines.length]).toEqual([[[3]], 1])
  })
})

describe('the split of a key’s use', () => {
  test('adds up to the use, also where the counts by tag are newer', () => {
    const counts = [new Map([['a', 5]]), new Map([['b', 7]])]
    expect(splitByTag(20, counts)).toEqual([{ tag: 'b', units: 7 }, { tag: 'a', units: 5 }, { units: 8 }])
    expect(splitByTag(8, counts)).toEqual([
      { tag: 'b', units: 7 },
      { tag: 'a', units: 1 },
    ])
    expect(splitByTag(20, [])).toBeUndefined()
  })
})
