import { expect } from 'vitest'
import type { Ports } from '../../core/ports.ts'
import { isAnyCrossed } from '../../core/quota/alerts.ts'
import { balanceParts } from '../../core/quota/thresholds.ts'
import { keys } from '../../core/table/keys.ts'
import type { openQuotaWorld, QuotaWorld } from './quota-world.ts'
import { atEachBreak, atEachCall } from './reservation-scenarios.ts'

type AlertScenario = (open: typeof openQuotaWorld) => Promise<void>

/** Adds a credit to the ledger, or a debit, that the counter does not have yet. */
async function enter(world: QuotaWorld, units: number, size = 1000): Promise<void> {
  const entries = await world.table.list(keys.account(world.accountId), 'LEDGER#')
  const seq = 2 + entries.length
  await world.table.put({
    ...keys.ledger(world.accountId, seq),
    ...{ seq, atMs: 1, kind: 'sale', units, amountCents: -99, size },
  })
}

async function credit(world: QuotaWorld, units: number, through: Ports = world.ports): Promise<void> {
  await enter(world, units)
  await world.applyLedger(through)
}

/** Asserts that each crossing has one item to be told from, and that the floor fits. */
async function expectHandedOver(world: QuotaWorld, title: string, count?: number): Promise<void> {
  // An entry without units hands over what is crossed, and arms nothing.
  await credit(world, 0)
  const items = await world.table.list(keys.account(world.accountId), 'ALERT#')
  const told = items.map(({ below }) => Number(below)).sort((a, b) => a - b)
  const crossed = world.crossings.map(({ below }) => below).sort((a, b) => a - b)
  expect([title, told]).toEqual([title, crossed])
  if (count !== undefined) expect([title, told.length]).toEqual([title, count])
  const { l = 0, f = 0, q = 0 } = (await world.counter()) as Record<string, number>
  const alerts = (await world.counter()).i as Uint8Array
  expect([title, { left: l, floor: f }]).toEqual([title, balanceParts(l + f, { size: q, alerts })])
}

export const alertScenarios: Readonly<Record<string, AlertScenario>> = {
  'each alert fires once a crossing, however many spends cross it at once': async (open) => {
    for (const units of [21, 100]) {
      const world = await open({ left: 2000, size: 1000, alerts: [1500, 0.7, 50] })
      for (let round = 1; round <= 3; round++) {
        const count = Math.floor(2000 / units)
        await Promise.all(Array.from({ length: count }, () => world.spend(units)))
        await expectHandedOver(world, `${units} units`, round * 3)
        await credit(world, count * units)
      }
    }
  },
  'an alert fires below its threshold, and not at it': async (open) => {
    const world = await open({ left: 800, size: 1000, alerts: [600, 0.5] })
    await world.spend(200)
    await expectHandedOver(world, 'at 600', 0)
    await world.spend(1)
    await expectHandedOver(world, 'below 600', 1)
    await world.spend(99)
    await expectHandedOver(world, 'at half of the bundle', 1)
    await world.spend(1)
    await expectHandedOver(world, 'below half of the bundle', 2)
  },
  'a crossed alert is due at once, also while a renewal waits': async (open) => {
    const world = await open({ left: 15, size: 1000, alerts: [5] })
    await world.spend(6)
    world.advance(1000)
    await world.spend(5)
    expect(await world.counter()).toMatchObject({ r: 1, dueAtMs: world.nowMs() })
  },
  'a credit between two crossings hides none, wherever a spend comes': async (open) => {
    for (const spent of [10, 260, 700])
      await atEachCall(
        () => open({ left: 1000, size: 1000, alerts: [900, 300] }),
        async (world) => {
          await world.spend(150)
          await enter(world, 200)
          return ''
        },
        (world, _, through) => world.applyLedger(through),
        (world) => world.spend(spent),
        async (world, title) => {
          await world.spend(120)
          await expectHandedOver(world, `${title}, ${spent}`)
        },
      )
  },
  'a spend that crosses is not confused by a credit, wherever it comes': async (open) => {
    for (const spent of [10, 260, 700])
      await atEachCall(
        () => open({ left: 1000, size: 1000, alerts: [900, 300] }),
        async (world) => {
          await world.spend(95)
          return ''
        },
        (world, _, through) => world.spend(spent, undefined, { through }),
        async (world) => credit(world, 200),
        async (world, title) => {
          await world.spend(220)
          await expectHandedOver(world, `${title}, ${spent}`)
        },
      )
  },
  'a spend that crosses goes by the alerts that its owner has chosen last': async (open) => {
    for (const chosen of [[], [950], [900, 880], [400, 0.9]])
      await atEachCall(
        () => open({ left: 1000, size: 1000, alerts: [900, 300] }),
        async (world) => {
          await world.spend(95)
          return ''
        },
        (world, _, through) => world.spend(20, undefined, { through }),
        (world) => world.choose(chosen),
        (world, title) => expectHandedOver(world, `${title}, ${chosen}`),
      )
  },
  'alerts are chosen as a whole and tell what the earlier ones crossed, wherever a spend comes': async (
    open,
  ) => {
    for (const spent of [10, 60, 700])
      await atEachCall(
        () => open({ left: 1000, size: 1000, alerts: [950, 300] }),
        async (world) => {
          await world.spend(60)
          return ''
        },
        (world, _, through) => world.choose([900, 300, 0.2], through),
        (world) => world.spend(spent),
        async (world, title) => {
          await expectHandedOver(world, `${title}, ${spent}`)
          await world.choose([])
          await expectHandedOver(world, `${title}, ${spent}, none chosen`)
        },
      )
  },
  'an alert that is removed and chosen again fires again': async (open) => {
    const world = await open({ left: 1000, size: 1000, alerts: [900] })
    for (let times = 0; times < 3; times++) {
      const { id } = await world.reserve(200)
      await world.choose([])
      await world.settle(id, 0)
      await world.choose([900])
    }
    await expectHandedOver(world, 'three times', 3)
  },
  'units that return from reservations arm no alert': async (open) => {
    const world = await open({ left: 1000, size: 1000, alerts: [900, 0.3] })
    for (let times = 1; times <= 3; times++) {
      await world.settle((await world.reserve(800)).id, 0)
      await expectHandedOver(world, `${times} times`, 2)
    }
    await credit(world, 1)
    await world.settle((await world.reserve(800)).id, 900)
    await expectHandedOver(world, 'after a credit', 4)
  },
  'a credit loses no crossing that units which return hide from it': async (open) => {
    await atEachCall(
      () => open({ left: 1000, size: 1000, alerts: [900] }),
      async (world) => {
        // The credit arms one alert while the other one is crossed.
        await world.settle((await world.reserve(200)).id, 0)
        await world.choose([900, 300])
        await enter(world, 200)
        return ''
      },
      (world, _, through) => world.applyLedger(through),
      async (world) => world.settle((await world.reserve(800)).id, 0),
      (world, title) => expectHandedOver(world, title),
    )
  },
  'an alert that stays among others keeps its state': async (open) => {
    const world = await open({ left: 1000, size: 1000, alerts: [900] })
    await world.settle((await world.reserve(200)).id, 0)
    await world.choose([800, 900])
    await world.reserve(150)
    await expectHandedOver(world, 'above the new one', 1)
  },
  'a debit fires the alerts that it falls below, and arms none': async (open) => {
    const world = await open({ left: 1000, size: 1000, alerts: [900, 700, 100] })
    await credit(world, -350)
    expect(await world.counter()).toMatchObject({ due: expect.stringMatching(/^QUOTA#/) })
    await expectHandedOver(world, 'a debit', 2)
  },
  'a share follows a change of the bundle': async (open) => {
    const world = await open({ left: 1000, size: 1000, alerts: [0.5] })
    await enter(world, 100_000, 100_000)
    await world.applyLedger()
    await world.spend(50_000)
    await expectHandedOver(world, 'of the small bundle', 0)
    await enter(world, 0, 100_000)
    await world.applyLedger()
    await world.spend(1001)
    await enter(world, 0, 100_000)
    await world.applyLedger()
    expect(world.crossings).toEqual([{ below: 0.5, seq: expect.any(Number) }])
    const owing = await open({ left: 1000, size: 1000, alerts: [0.5] })
    await enter(owing, 100, 100_000)
    await owing.applyLedger()
    expect(owing.crossings).toHaveLength(1)
    expect(isAnyCrossed((await owing.counter()).i as Uint8Array)).toBe(true)
  },
  'a credit that breaks off at any call loses no crossing, and hands none over twice': async (open) => {
    await atEachBreak(
      (options) => open({ ...options, size: 1000, alerts: [900, 0.3] }),
      async (world) => {
        await world.spend(800)
        await enter(world, 2000)
        return ''
      },
      (world, _, through) => world.applyLedger(through),
      (world, title) => expectHandedOver(world, title, 2),
    )
  },
  'a choice that breaks off at any call loses no crossing, and hands none over twice': async (open) => {
    await atEachBreak(
      (options) => open({ ...options, size: 1000, alerts: [900, 0.3] }),
      async (world) => {
        await world.spend(800)
        return ''
      },
      (world, _, through) => world.choose([150, 0.3], through),
      async (world, title) => {
        await world.spend(100)
        await expectHandedOver(world, title, 3)
      },
    )
  },
}
