import { describe, expect, test } from 'vitest'
import type { Account } from '../../core/account/account.ts'
import { sweepCards } from '../../core/cards/expiry.ts'
import { cardNumberItem, readCardNumber, UNKNOWN_NUMBER } from '../../core/cards/number.ts'
import { lastProof, wasProved } from '../../core/cards/proof.ts'
import { finishRemoval } from '../../core/cards/remove.ts'
import { replacedCard } from '../../core/cards/replaced.ts'
import { writeReport } from '../../core/cards/report-fraud.ts'
import { cardItem, parseStoredCard, type StoredCard } from '../../core/cards/stored.ts'
import { syncCard } from '../../core/cards/sync.ts'
import { DomainError } from '../../core/errors.ts'
import type { Charge, PaymentCard, Payments, Ports } from '../../core/ports.ts'
import { setRemove } from '../../core/table/expression.ts'
import { dueAt, keys } from '../../core/table/keys.ts'
import { DAY_MS, MINUTE_MS } from '../../core/time.ts'
import { WHOLE_RUN } from '../machine/faults.ts'
import { openPurchaseWorld } from '../machine/purchase-world.ts'

/** An account at Stripe without cards, and what it has stored of some. */
async function open(profile: Record<string, unknown> = {}) {
  const { accountId, ports, account } = await openPurchaseWorld()
  const { table } = ports
  const key = keys.profile(accountId)
  await table.put({ ...(await table.get(key)), ...profile } as never)
  const customer = {
    id: 'cus_1',
    livemode: true,
    createdMs: 1,
    balanceCents: 0,
    delinquent: false,
    version: 1,
  }
  await table.put({ ...keys.customer(accountId), ...customer, defaultCardId: 'pm_1' })
  const put = async (card: PaymentCard, marks: Partial<StoredCard> = {}) =>
    table.put({ ...cardItem(accountId, card, undefined), ...marks })
  const stored = async (cardId: string) => {
    const item = await table.get(keys.card(accountId, cardId))
    return item && parseStoredCard(item)
  }
  const types = async (prefix: string) =>
    (await table.list(key.pk, prefix)).map((item) => item.type ?? item.messageType)
  return { accountId, ports, table, account, key, put, stored, types }
}

const paymentCard = (id: string, over: Partial<PaymentCard> = {}): PaymentCard =>
  ({
    id,
    customerId: 'cus_1',
    brand: 'visa',
    last4: '4242',
    expMonth: 4,
    expYear: 2041,
    funding: 'credit',
    fingerprint: 'print',
    checks: {},
    threeDSecureSupported: true,
    billing: { address: {} },
    livemode: true,
    createdMs: 5,
    ...over,
  }) as unknown as PaymentCard

const marksOf = (card: StoredCard | undefined) => [
  card?.declined,
  card?.reason,
  card?.closed,
  card?.restsUntilMs,
]
const NONE = [undefined, undefined, undefined, undefined]

describe('a card whose bank has replaced it', () => {
  const before: StoredCard = {
    cardId: 'pm_1',
    version: 2,
    card: paymentCard('pm_1') as never,
    declined: true,
    reason: 'card_lost',
    closed: true,
    restsUntilMs: 9,
  }
  const waiting = (over: Record<string, unknown> = {}) => ({
    renewal: { state: 'paused', reason: 'card_lost', cardId: 'pm_1', failures: 1, ...over },
    bundle: 'STARTER',
  })

  test('is as it was, if nothing of it has changed', async () => {
    const { ports, accountId } = await open()
    const same = await replacedCard(ports, accountId, paymentCard('pm_1'), before)
    expect(same).toEqual({ last: before, writes: [] })
    expect(await replacedCard(ports, accountId, paymentCard('pm_1'), undefined)).toEqual({
      last: undefined,
      writes: [],
    })
    const gone = { cardId: 'pm_1', version: 2 }
    expect(await replacedCard(ports, accountId, paymentCard('pm_1'), gone)).toEqual({
      last: gone,
      writes: [],
    })
  })

  test.each<[string, Partial<PaymentCard>, unknown[]]>([
    ['month', { expMonth: 5 }, [undefined, undefined, undefined, 9]],
    ['year', { expYear: 2042 }, [undefined, undefined, undefined, 9]],
    ['last digits', { last4: '1111' }, [undefined, undefined, undefined, 9]],
    ['number', { fingerprint: 'new' }, NONE],
  ])('by one of another %s is not declined any more', async (_, over, marks) => {
    const { ports, accountId } = await open()
    const { last } = await replacedCard(ports, accountId, paymentCard('pm_1', over), before)
    expect(marksOf(last)).toEqual(marks)
    expect(last?.version).toBe(2)
  })

  test('and that was reported as misused stays so, unless it has another number', async () => {
    const { ports, accountId } = await open(waiting())
    const reported: StoredCard = { ...before, reason: 'card_disputed' }
    const same = await replacedCard(ports, accountId, paymentCard('pm_1', { expYear: 2042 }), reported)
    expect(marksOf(same.last)).toEqual([true, 'card_disputed', true, 9])
    expect(same.writes).toEqual([])
    const other = await replacedCard(ports, accountId, paymentCard('pm_1', { fingerprint: 'new' }), reported)
    expect(marksOf(other.last)).toEqual(NONE)
    expect(other.writes).not.toEqual([])
  })

  test.each<[string, Partial<PaymentCard>, string[]]>([
    ['of the same number', { expYear: 2042 }, ['pm_1', 'print']],
    ['of another number', { fingerprint: 'new' }, ['pm_1']],
    ['whose number nobody knows', { expYear: 2042, fingerprint: undefined }, ['pm_1']],
  ])('%s may be proved again, and its declines still count', async (_, over, reopened) => {
    const { ports, accountId, table } = await open()
    const closed = { ...UNKNOWN_NUMBER, declinesMs: [1], closed: { reason: 'card_lost', atMs: 1 } }
    for (const number of ['pm_1', 'print', 'new'])
      await table.put(cardNumberItem(accountId, number, closed, 1))
    const { writes } = await replacedCard(ports, accountId, paymentCard('pm_1', over), before)
    await table.transact(writes)
    for (const number of ['pm_1', 'print', 'new']) {
      const record = await readCardNumber(ports, accountId, number)
      expect([number, record.closed === undefined]).toEqual([number, reopened.includes(number)])
      expect(record.declinesMs).toEqual([1])
    }
    // They are open now, so nothing is written again.
    const again = await replacedCard(ports, accountId, paymentCard('pm_1', over), before)
    expect(again.writes).toEqual([])
  })

  test.each(['declined', 'closed', 'restsUntilMs'] as const)(
    'is looked at if it only was %s',
    async (mark) => {
      const { ports, accountId } = await open(waiting())
      const { declined, closed, restsUntilMs, reason, ...clean } = before
      const marked = { ...clean, [mark]: before[mark] } as StoredCard
      const over = { expYear: 2042 }
      expect((await replacedCard(ports, accountId, paymentCard('pm_1', over), marked)).writes).not.toEqual([])
      expect((await replacedCard(ports, accountId, paymentCard('pm_1', over), clean)).writes).toEqual([])
    },
  )

  test.each<[string, Record<string, unknown>, boolean]>([
    ['because of it', {}, true],
    ['for its next try', { state: 'retrying', reason: 'insufficient_funds' }, true],
    ['because of another card', { cardId: 'pm_0' }, false],
    ['for 3-D Secure', { state: 'action_required', reason: 'authentication_required' }, false],
    ...['payment_reversed', 'units_owed', 'bundle_removed'].map(
      (reason): [string, Record<string, unknown>, boolean] => [`because of ${reason}`, { reason }, false],
    ),
    ['for a new month', { state: 'capped', reason: 'monthly_cap' }, false],
    ['for an hour to pass', { state: 'held_back', reason: 'hourly_limit' }, false],
    ['for a day to pass', { state: 'held_back', reason: 'daily_limit' }, false],
  ])('lets a renewal that waits %s go on, or not', async (_, over, goesOn) => {
    const { ports, accountId, table, key, types } = await open(waiting(over))
    const { writes } = await replacedCard(ports, accountId, paymentCard('pm_1', { expYear: 2042 }), before)
    if (writes.length > 0) await table.transact(writes)
    expect((await table.get(key))?.renewal === undefined).toBe(goesOn)
    expect(await types('OUTEVENT#')).toEqual(goesOn ? ['renewal.state_changed'] : [])
    expect((await table.get(keys.quota(accountId)))?.r === undefined).toBe(!goesOn)
  })

  test('forgets that the last purchase with it was declined, and no other outcome', async () => {
    const last = { id: 'p1', fingerprint: 'digest', atMs: 5 }
    for (const [outcome, isForgotten] of [
      ['declined', true],
      ['credited', false],
    ] as const) {
      const { ports, accountId, table, key } = await open({ lastPurchase: { ...last, outcome } })
      const { writes } = await replacedCard(ports, accountId, paymentCard('pm_1', { expYear: 2042 }), before)
      expect(writes).toHaveLength(isForgotten ? 1 : 0)
      if (isForgotten) {
        // Another purchase has ended meanwhile.
        const item = (await table.get(key)) ?? {}
        await table.put({ ...item, lastPurchase: { ...last, id: 'p2', outcome } })
        await expect(table.transact(writes)).rejects.toThrow()
        await table.put(item)
        await table.transact(writes)
      }
      expect((await table.get(key))?.lastPurchase === undefined).toBe(isForgotten)
    }
  })
})

describe('a report of fraud', () => {
  const charge = (over: Partial<Charge> = {}): Charge =>
    ({
      id: 'ch_1',
      customerId: 'cus_1',
      paymentMethodId: 'pm_1',
      card: { fingerprint: 'print', last4: '4242' },
      ...over,
    }) as Charge

  test('closes every entry of the number, keeps their rest, and its withdrawal opens them again', async () => {
    const { ports, accountId, put, stored } = await open()
    await put(paymentCard('pm_1'), { restsUntilMs: 7 })
    await put(paymentCard('pm_2'), { declined: true, reason: 'declined' })
    await put(paymentCard('pm_3', { fingerprint: 'other' }))
    await put(paymentCard('pm_4', { fingerprint: 'other' }), { removing: true })
    await writeReport(ports, accountId, charge(), { chargeId: 'ch_1', reason: 'card_disputed' })
    expect(marksOf(await stored('pm_1'))).toEqual([true, 'card_disputed', true, 7])
    expect(marksOf(await stored('pm_2'))).toEqual([true, 'card_disputed', true, undefined])
    expect(marksOf(await stored('pm_3'))).toEqual(NONE)
    await writeReport(ports, accountId, charge(), { chargeId: 'ch_1', reason: undefined })
    expect(marksOf(await stored('pm_1'))).toEqual(NONE)
    expect(marksOf(await stored('pm_2'))).toEqual(NONE)
  })

  test('of a number that nobody knows is about the payment method', async () => {
    const { ports, accountId, put, stored } = await open()
    await put(paymentCard('pm_1', { fingerprint: undefined }))
    await put(paymentCard('pm_2'))
    const unknown = charge({ card: undefined } as never)
    await writeReport(ports, accountId, unknown, { chargeId: 'ch_1', reason: 'fraud_warning' })
    expect(marksOf(await stored('pm_1'))).toEqual([true, 'fraud_warning', true, undefined])
    expect(marksOf(await stored('pm_2'))).toEqual(NONE)
    expect((await readCardNumber(ports, accountId, 'pm_1')).signals).toEqual({ ch_1: 'fraud_warning' })
    const nothing = charge({ card: undefined, paymentMethodId: undefined } as never)
    await writeReport(ports, accountId, nothing, { chargeId: 'ch_2', reason: 'fraud_warning' })
    expect(await readCardNumber(ports, accountId, 'undefined')).toEqual(UNKNOWN_NUMBER)
  })

  test('pauses a renewal with the card, tells its owner once, and lets it go on', async () => {
    const { ports, accountId, put, types, table, key } = await open({ bundle: 'STARTER' })
    await put(paymentCard('pm_1'))
    const news = { messageType: 'card_warning', text: 'A warning.' }
    const report = { chargeId: 'ch_1', reason: 'fraud_warning', news } as const
    for (let n = 0; n < 2; n++) await writeReport(ports, accountId, charge(), { ...report })
    expect((await table.get(key))?.renewal).toEqual({
      state: 'paused',
      reason: 'fraud_warning',
      cardId: 'pm_1',
      failures: 0,
    })
    // The second report changes nothing; its news is a notice of its own.
    expect((await types('NOTICE#')).filter((type) => type === 'card_warning')).toHaveLength(2)
    await writeReport(ports, accountId, charge(), { chargeId: 'ch_1', reason: undefined })
    expect((await table.get(key))?.renewal).toBeUndefined()
    expect((await table.get(keys.quota(accountId)))?.r).toBeDefined()
  })

  test('about a card that is not the default one leaves renewals as they are', async () => {
    const { ports, accountId, put, table, key, types } = await open({ bundle: 'STARTER' })
    await put(paymentCard('pm_1', { fingerprint: 'other' }))
    await put(paymentCard('pm_2'))
    await writeReport(ports, accountId, charge({ paymentMethodId: 'pm_2' } as never), {
      chargeId: 'ch_1',
      reason: 'card_disputed',
    })
    expect((await table.get(key))?.renewal).toBeUndefined()
    expect(await types('NOTICE#')).toEqual([])
  })
})

/** Ports whose provider has these cards of the customer. */
function withCards(ports: Ports, cards: PaymentCard[], defaultId: string | undefined) {
  const detached: string[] = []
  const defaults: (string | undefined)[] = []
  const customer = { id: 'cus_1', livemode: true, createdMs: 1, balanceCents: 0, delinquent: false }
  let now = defaultId
  const payments = {
    ...({} as Payments),
    readCustomer: async () => ({ ...customer, defaultPaymentMethodId: now }) as never,
    updateCustomer: async (_: string, { defaultPaymentMethodId }: { defaultPaymentMethodId?: string }) => {
      now = defaultPaymentMethodId
      defaults.push(now)
      return { ...customer, defaultPaymentMethodId: now } as never
    },
    detachCard: async (id: string) => void detached.push(id),
    readCard: async (id: string) => cards.find((card) => card.id === id && !detached.includes(id)),
  } as Payments
  return { via: { ...ports, payments } as Ports, detached, defaults }
}

describe('the end of a removal', () => {
  test('makes a newer entry of the same number the default card first, before any other card', async () => {
    const { ports, accountId, put, stored } = await open()
    const cards = [
      paymentCard('pm_1'),
      paymentCard('pm_2', { fingerprint: 'other', createdMs: 99 }),
      paymentCard('pm_3', { createdMs: 7 }),
    ]
    for (const card of cards) await put(card, card.id === 'pm_1' ? { removing: true } : {})
    const { via, detached, defaults } = withCards(ports, cards, 'pm_1')
    await finishRemoval(via, { accountId, customerId: 'cus_1' }, 'pm_1')
    expect([defaults, detached]).toEqual([['pm_3'], ['pm_1']])
    expect((await stored('pm_1'))?.card).toBeUndefined()
    expect((await stored('pm_1'))?.version).toBe(2)
  })

  test('leaves another default card as it is, and a card that is back on file', async () => {
    const { ports, accountId, put, stored } = await open()
    const cards = [paymentCard('pm_1'), paymentCard('pm_2')]
    for (const card of cards) await put(card)
    const { via, defaults } = withCards(ports, cards, 'pm_2')
    await finishRemoval(via, { accountId, customerId: 'cus_1' }, 'pm_1')
    expect(defaults).toEqual([])
    // No removal of it is under way.
    expect((await stored('pm_1'))?.card).toBeDefined()
  })
})

describe('the job that works on cards', () => {
  test('passes over one that has gone since it was found due, and one whose notice is not due yet', async () => {
    const { ports, accountId, put, table } = await open()
    await put(paymentCard('pm_1'))
    const { due } = dueAt('CARD', accountId, 0)
    await table.put({ ...(await table.get(keys.card(accountId, 'pm_1'))), due, dueAtMs: 1 } as never)
    const gone = { ...keys.card(accountId, 'pm_2') }
    const looked = {
      ...ports,
      table: { ...table, due: once(() => [gone, keys.card(accountId, 'pm_1')]) },
    } as Ports
    expect(await sweepCards(looked, WHOLE_RUN)).toEqual({
      expiryNotices: 0,
      removalsFinished: 0,
      cardsFailed: 0,
    })
  })

  test('tells of an expiry once, although two runs come at once', async () => {
    const { ports, accountId, put, table, types } = await open()
    await put(paymentCard('pm_1', { expMonth: 1, expYear: 2020 }))
    const key = keys.card(accountId, 'pm_1')
    const looked = { ...ports, table: { ...table, due: once(() => [key]) } } as Ports
    const also = { ...ports, table: { ...table, due: once(() => [key]) } } as Ports
    const both = await Promise.all([sweepCards(looked, WHOLE_RUN), sweepCards(also, WHOLE_RUN)])
    expect(both.map(({ expiryNotices }) => expiryNotices).sort()).toEqual([0, 1])
    expect(both.map(({ cardsFailed }) => cardsFailed)).toEqual([0, 0])
    expect(await types('NOTICE#')).toEqual(['card_expired'])
    expect(await types('OUTEVENT#')).toEqual(['card.expired'])
  })

  test('leaves a card due whose notice cannot be stored', async () => {
    const { ports, accountId, put, table, types } = await open()
    await put(paymentCard('pm_1', { expMonth: 1, expYear: 2020 }))
    const due = once(() => [keys.card(accountId, 'pm_1')])
    const transact = () => Promise.reject(new DomainError('temporarily_unavailable'))
    const down = { ...ports, table: { ...table, due, transact } } as Ports
    expect(await sweepCards(down, WHOLE_RUN)).toEqual({
      expiryNotices: 0,
      removalsFinished: 0,
      cardsFailed: 1,
    })
    expect(await types('NOTICE#')).toEqual([])
  })

  test('leaves a removed card attached for a minute while a payment with it is open', async () => {
    const { ports, accountId, put, table, stored } = await open({ openHold: 'h1' })
    await put(paymentCard('pm_1'), { removing: true })
    const hold = {
      id: 'h1',
      accountId,
      purpose: 'verify',
      asked: 'pm_1',
      cardId: 'pm_1',
      customerId: 'cus_1',
    }
    await table.put({ ...keys.hold(accountId, 'h1'), ...hold, state: 'saved', createdAtMs: 1 })
    const { via, detached } = withCards(ports, [paymentCard('pm_1')], undefined)
    const sweep = () => {
      const looked = { ...via, table: { ...table, due: once(() => [keys.card(accountId, 'pm_1')]) } } as Ports
      return sweepCards(looked, WHOLE_RUN)
    }
    expect(await sweep()).toMatchObject({ removalsFinished: 0, cardsFailed: 0 })
    expect((await table.get(keys.card(accountId, 'pm_1')))?.dueAtMs).toBe(ports.clock.nowMs() + MINUTE_MS)
    expect(detached).toEqual([])
    await table.put({
      ...keys.hold(accountId, 'h1'),
      ...hold,
      cardId: 'pm_2',
      state: 'saved',
      createdAtMs: 1,
    })
    expect(await sweep()).toMatchObject({ removalsFinished: 1 })
    expect([detached, (await stored('pm_1'))?.card]).toEqual([['pm_1'], undefined])
  })
})

function once<T>(first: () => T[]): () => Promise<T[]> {
  let calls = 0
  return async () => (calls++ === 0 ? first() : [])
}

describe('a card that is read from the provider', () => {
  const owner = (accountId: string) => ({ accountId, customerId: 'cus_1' })

  test('and is older than another entry of its number goes at once, and is not added', async () => {
    const { ports, accountId, put, stored, types, table } = await open()
    await put(paymentCard('pm_2', { createdMs: 9 }))
    const { via } = withCards(ports, [paymentCard('pm_1', { createdMs: 8 })], 'pm_2')
    await syncCard(via, owner(accountId), 'pm_1')
    expect(await stored('pm_1')).toMatchObject({ removing: true, version: 1 })
    expect((await table.get(keys.card(accountId, 'pm_1')))?.dueAtMs).toBe(ports.clock.nowMs())
    expect(await stored('pm_2')).not.toHaveProperty('removing')
    expect(await types('OUTEVENT#')).toEqual([])
  })

  test.each([9, 10])('and is as new or newer takes the place of the other entry (%i)', async (createdMs) => {
    const { ports, accountId, put, stored, types } = await open()
    await put(paymentCard('pm_2', { createdMs: 9 }))
    const { via } = withCards(ports, [paymentCard('pm_1', { createdMs })], 'pm_1')
    await syncCard(via, owner(accountId), 'pm_1')
    expect(await stored('pm_1')).not.toHaveProperty('removing')
    expect(await stored('pm_2')).toMatchObject({ removing: true })
    expect((await types('OUTEVENT#')).sort()).toEqual(['card.added', 'card.removed'])
  })

  test('stays as it is while it is being removed, and is marked as gone once it is', async () => {
    const { ports, accountId, put, stored, types } = await open()
    await put(paymentCard('pm_1'), { removing: true })
    await put(paymentCard('pm_2', { fingerprint: 'other' }))
    const { via } = withCards(ports, [paymentCard('pm_1')], 'pm_2')
    await syncCard(via, owner(accountId), 'pm_1')
    expect(await stored('pm_1')).toMatchObject({ removing: true, version: 1 })
    await syncCard(via, owner(accountId), 'pm_2')
    expect(await stored('pm_2')).toEqual({ cardId: 'pm_2', version: 2 })
    expect(await types('OUTEVENT#')).toContain('card.removed')
    // Never on file: the mark keeps an older reading from putting it there.
    await syncCard(via, owner(accountId), 'pm_9')
    expect(await stored('pm_9')).toEqual({ cardId: 'pm_9', version: 1 })
    await syncCard(via, owner(accountId), 'pm_9')
    expect((await stored('pm_9'))?.version).toBe(1)
  })
})

describe('a request that proves the card that was proved last', () => {
  const address = { street: 'A', city: 'B', postCode: 'C', country: 'AT' }

  async function proved(purpose: 'verify' | 'change', of: Record<string, unknown> | undefined) {
    const opened = await open()
    const { ports, accountId, table, key, put, account } = opened
    await put(paymentCard('pm_1'))
    const hold = { purpose, asked: 'pm_1', cardId: 'pm_1', address: of } as never
    await table.update(key, setRemove([lastProof(ports, hold)], []))
    let ms = 0
    const clock = { ...ports.clock, nowMs: () => ports.clock.nowMs() + ms }
    return {
      ...opened,
      after: (passed: number) => {
        ms = passed
      },
      was: async (input: Record<string, unknown> = {}) =>
        wasProved(
          { ...ports, clock },
          (await account()) as Account,
          {
            purpose,
            cardId: 'pm_1',
            address: of,
            ...input,
          } as never,
        ),
      accountId,
    }
  }

  test('is known for ten minutes, and one that changes the card for a day', async () => {
    for (const [purpose, ms] of [
      ['verify', 10 * MINUTE_MS],
      ['change', DAY_MS],
    ] as const) {
      const { was, after: pass } = await proved(purpose, undefined)
      expect(await was()).toBe(true)
      pass(ms - 1)
      expect(await was()).toBe(true)
      pass(ms)
      expect(await was()).toBe(false)
    }
  })

  test('has the same purpose, card and address, whatever the order of its fields', async () => {
    const { was } = await proved('verify', address)
    const { street, ...others } = address
    expect(await was({ address: { ...others, street, company: undefined } })).toBe(true)
    expect(await was({ address: { ...address, street: 'Z' } })).toBe(false)
    expect(await was({ address: undefined })).toBe(false)
    expect(await was({ cardId: 'pm_2' })).toBe(false)
    expect(await was({ purpose: 'change' })).toBe(false)
  })

  test('holds only as long as the card is on file and not declined', async () => {
    const { was, put } = await proved('verify', undefined)
    await put(paymentCard('pm_1'), { declined: true })
    expect(await was()).toBe(false)
    await put(paymentCard('pm_1'), { removing: true })
    expect(await was()).toBe(false)
    await put(paymentCard('pm_1'))
    expect(await was()).toBe(true)
  })
})
