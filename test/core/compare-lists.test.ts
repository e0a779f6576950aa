import { describe, expect, test } from 'vitest'
import { DomainError } from '../../core/errors.ts'
import type { MoneyDeps, Payment, Reversal } from '../../core/ports.ts'
import { compareReversals } from '../../core/purchases/compare-reversals.ts'
import { comparePayments } from '../../core/purchases/reconcile.ts'
import { keys } from '../../core/table/keys.ts'
import { DAY_MS, MINUTE_MS } from '../../core/time.ts'
import { memoryTable } from '../machine/memory-table.ts'
import { recordingLog } from '../support/log.ts'

const NOW_MS = Date.UTC(2026, 10, 21, 12)

/** A provider whose lists have these pages, by the cursor that leads to them. */
function open(methods: Record<string, unknown>) {
  const table = memoryTable()
  const { log, lines } = recordingLog()
  let nowMs = NOW_MS
  const deps = {
    table,
    log,
    clock: { nowMs: () => nowMs },
    payments: methods,
    paymentScope: { livemode: true, stage: 'prod' },
  } as unknown as MoneyDeps
  const alarms: string[] = []
  const run = (untilMs = Number.POSITIVE_INFINITY) => ({
    untilMs,
    width: 2,
    alarm: (sentence: string) => void alarms.push(sentence),
  })
  const pass = (ms: number) => {
    nowMs += ms
  }
  return { table, deps, lines, run, alarms, pass, now: () => nowMs }
}

describe('the lists of refunds, disputes and warnings', () => {
  const reversal = (chargeId: string): Reversal =>
    ({ id: `re_${chargeId}`, chargeId, captured: false, metadata: {}, paymentId: undefined }) as never

  function lists(pages: Record<string, string | undefined>, failing: string[] = []) {
    const asked: string[] = []
    const world = open({
      listReversals: async (kind: string, sinceMs: number, cursor = 'first') => {
        asked.push(`${kind} ${cursor} ${(NOW_MS - sinceMs) / DAY_MS}`)
        if (failing.includes(cursor)) throw new DomainError('not_found')
        return {
          items: kind === 'refund' ? [reversal(cursor)] : [],
          nextCursor: kind === 'refund' ? pages[cursor] : undefined,
        }
      },
    })
    const kinds = () => asked.map((each) => each.split(' ').slice(0, 2).join(' '))
    const cursor = async () => (await world.table.get(keys.job('compare-refunds')))?.cursor
    return { ...world, asked, kinds, cursor }
  }

  test('are read page by page, each kind from its own time on, and nothing is stored of short lists', async () => {
    const { deps, run, asked, kinds, cursor } = lists({ first: 'second', second: 'third' })
    expect(await compareReversals(deps, run())).toEqual({ done: 0, failed: 0 })
    expect(kinds()).toEqual([
      'refund first',
      'refund second',
      'refund third',
      'dispute first',
      'warning first',
    ])
    expect(new Set(asked.map((each) => each.split(' ')[2])).size).toBeGreaterThan(1)
    const short = lists({})
    await compareReversals(short.deps, short.run())
    expect(short.table.items()).toEqual([])
    // The list has ended, so the next run begins with what is newest.
    expect(await cursor()).toBeUndefined()
    await compareReversals(deps, run())
    expect(kinds().slice(5, 8)).toEqual(['refund first', 'refund second', 'refund third'])
  })

  test('are read on by the next run where one runs out of time', async () => {
    const { deps, run, kinds, cursor, now, pass } = lists({ first: 'second', second: 'third' })
    const short = {
      ...run(),
      get untilMs() {
        return kinds().length === 0 ? now() + 1 : now()
      },
    }
    await compareReversals(deps, short)
    expect([kinds(), await cursor()]).toEqual([['refund first'], 'second'])
    pass(MINUTE_MS)
    await compareReversals(deps, run())
    expect(kinds().slice(1)).toEqual(['refund second', 'refund third', 'dispute first', 'warning first'])
    expect(await cursor()).toBeUndefined()
  })

  test('begin anew if the object of the cursor is gone, and another failure is told', async () => {
    const { deps, run, kinds, table } = lists({ first: undefined }, ['gone'])
    await table.put({ ...keys.job('compare-refunds'), cursor: 'gone' })
    await compareReversals(deps, run())
    expect(kinds().slice(0, 2)).toEqual(['refund gone', 'refund first'])
    const down = open({ listReversals: () => Promise.reject(new DomainError('temporarily_unavailable')) })
    await expect(compareReversals(down.deps, down.run())).rejects.toMatchObject({
      code: 'temporarily_unavailable',
    })
  })
})

describe('the list of payments', () => {
  const payment = (id: string, createdMs: number, over: Partial<Payment> = {}): Payment =>
    ({ id, createdMs, metadata: { stage: 'other' }, status: 'succeeded', ...over }) as Payment

  function list(pages: Record<string, [Payment[], string?]>, methods: Record<string, unknown> = {}) {
    const asked: unknown[] = []
    const world = open({
      listPayments: async (window: { createdSinceMs: number; createdUntilMs: number }, cursor = 'first') => {
        asked.push([cursor, NOW_MS - window.createdSinceMs, NOW_MS - window.createdUntilMs])
        const page = pages[cursor]
        if (!page) throw new DomainError('not_found')
        return { items: page[0], nextCursor: page[1] }
      },
      ...methods,
    })
    const progress = async () => {
      const { pk, sk, ...stored } = (await world.table.get(keys.job('compare-payments'))) ?? {}
      return stored
    }
    return { ...world, asked, progress }
  }
  const YOUNG_MS = 10 * MINUTE_MS

  test('is compared from thirty days ago until ten minutes ago, then from there on', async () => {
    const { deps, run, asked, progress, pass } = list({ first: [[payment('pi_1', NOW_MS - DAY_MS)]] })
    expect(await comparePayments(deps, run())).toBe(1)
    expect(asked).toEqual([['first', 30 * DAY_MS, YOUNG_MS]])
    expect(await progress()).toEqual({ untilMs: NOW_MS - YOUNG_MS })
    // Nothing is old enough.
    expect(await comparePayments(deps, run())).toBe(0)
    expect(asked).toHaveLength(1)
    pass(MINUTE_MS)
    // What was compared in the window before does not count again.
    expect(await comparePayments(deps, run())).toBe(0)
    expect(asked[1]).toEqual(['first', YOUNG_MS, YOUNG_MS - MINUTE_MS])
  })

  test('is read page by page, and on where a run is out of time', async () => {
    const { deps, run, asked, progress, pass, now } = list({
      first: [[payment('pi_1', NOW_MS - DAY_MS)], 'second'],
      second: [[payment('pi_2', NOW_MS - 2 * DAY_MS)]],
    })
    const short = {
      ...run(),
      get untilMs() {
        return asked.length === 0 ? now() + 1 : now()
      },
    }
    expect(await comparePayments(deps, short)).toBe(1)
    expect(await progress()).toEqual({
      untilMs: NOW_MS - 30 * DAY_MS,
      windowMs: NOW_MS - YOUNG_MS,
      cursor: 'second',
    })
    pass(MINUTE_MS)
    expect(await comparePayments(deps, run())).toBe(1)
    // The window that was begun is ended before another one begins.
    expect(asked[1]).toEqual(['second', 30 * DAY_MS, YOUNG_MS])
    expect(await progress()).toMatchObject({ untilMs: NOW_MS - YOUNG_MS })
  })

  test('begins anew if the payment of the cursor is deleted, and another failure is told', async () => {
    const { deps, run, asked, table } = list({ first: [[]] })
    const begun = { untilMs: NOW_MS - DAY_MS, windowMs: NOW_MS - YOUNG_MS, cursor: 'gone' }
    await table.put({ ...keys.job('compare-payments'), ...begun })
    expect(await comparePayments(deps, run())).toBe(0)
    expect(asked).toEqual([
      ['gone', DAY_MS, YOUNG_MS],
      ['first', DAY_MS, YOUNG_MS],
    ])
    const listPayments = () => Promise.reject(new DomainError('temporarily_unavailable'))
    const down = list({}, { listPayments })
    await expect(comparePayments(down.deps, down.run())).rejects.toMatchObject({
      code: 'temporarily_unavailable',
    })
  })

  test('is compared only while a payment of ours can be read, and after a day without it a person is told', async () => {
    let known = false
    const { deps, run, asked, progress, table, pass, alarms } = list(
      { first: [[]] },
      { readPayment: async () => (known ? payment('pi_1', 0) : undefined) },
    )
    await table.put({ ...keys.job('compare-payments'), untilMs: NOW_MS - DAY_MS, witness: 'pi_1' })
    for (let n = 0; n < 2; n++) {
      await expect(comparePayments(deps, run())).rejects.toMatchObject({ code: 'temporarily_unavailable' })
      expect(await progress()).toMatchObject({ witness: 'pi_1', lostSinceMs: NOW_MS })
      pass(DAY_MS / 2 - 1)
    }
    expect([asked, alarms]).toEqual([[], []])
    known = true
    await comparePayments(deps, run())
    expect(await progress()).toMatchObject({ witness: 'pi_1' })
    expect(await progress()).not.toHaveProperty('lostSinceMs')
    known = false
    await expect(comparePayments(deps, run())).rejects.toThrow()
    pass(DAY_MS)
    await comparePayments(deps, run())
    expect(alarms).toEqual([
      'payment pi_1: paid, but Stripe does not know it; check that StripeSecretKey is of the right account',
    ])
    expect((await progress()).witness).toBeUndefined()
  })

  test('goes on past a payment that cannot be compared, which a line names', async () => {
    const { deps, run, lines, table } = list({
      first: [
        [payment('pi_1', NOW_MS - DAY_MS, { metadata: null as never }), payment('pi_2', NOW_MS - DAY_MS)],
      ],
    })
    expect(await comparePayments(deps, run())).toBe(2)
    expect(lines).toMatchObject([
      { level: 'error', what: 'a payment could not be compared; it is looked at again', item: 'pi_1' },
    ])
    expect(table.items().some(({ pk }) => pk === 'PAYMENT#pi_1')).toBe(true)
  })
})
