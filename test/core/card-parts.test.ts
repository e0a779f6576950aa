import { describe, expect, test } from 'vitest'
import type { Account } from '../../core/account/account.ts'
import { isConfirmationToken, tokenIn, withCardOf } from '../../core/cards/confirmation-token.ts'
import {
  chargeRefusal,
  declineWrites,
  markCard,
  markDeclined,
  markPaid,
  mayCharge,
  withProof,
} from '../../core/cards/declined.ts'
import { cardAdded, cardGone, defaultCardChanged } from '../../core/cards/events.ts'
import { fingerprintWrite, withFraud } from '../../core/cards/fingerprint.ts'
import {
  endedHold,
  type Hold,
  hasEnded,
  holdOf,
  holdPayment,
  isPaymentOfHold,
  newHold,
} from '../../core/cards/hold.ts'
import { customerOf, listStoredCards } from '../../core/cards/list.ts'
import {
  type CardNumber,
  cardNumberItem,
  cardRefusal,
  closesEntry,
  closesNumber,
  isSignal,
  mayProve,
  numberRefusal,
  reachedBank,
  readCardNumber,
  restsUntilMs,
  UNKNOWN_NUMBER,
  unchangedNumber,
  withClosure,
  withDecline,
} from '../../core/cards/number.ts'
import { fraudReportOf, isFraudDispute, warningNews } from '../../core/cards/report-fraud.ts'
import {
  cardItem,
  cardTombstone,
  nextNotice,
  parseStoredCard,
  type StoredCard,
  unchangedCard,
} from '../../core/cards/stored.ts'
import { customerItem, parseCustomer, unchangedCustomer } from '../../core/cards/stored-customer.ts'
import type { Charge, Decline, Deps, Payment, PaymentCard } from '../../core/ports.ts'
import { keys } from '../../core/table/keys.ts'
import type { Item, Write } from '../../core/table/table.ts'
import { DAY_MS, MINUTE_MS } from '../../core/time.ts'
import { memoryTable } from '../machine/memory-table.ts'

const NOW_MS = Date.UTC(2026, 10, 21, 12)
const ACCOUNT = 'a'.repeat(24)

function open() {
  const table = memoryTable()
  const deps = {
    table,
    clock: { nowMs: () => NOW_MS },
    ids: { hex: (bytes: number) => 'ab'.repeat(bytes), uuid: () => 'uuid' },
  } as unknown as Deps<'table'>
  /** Whether a write's condition holds now. */
  const holds = (write: Write) =>
    table.transact([write]).then(
      () => true,
      () => false,
    )
  return { table, deps, holds }
}

const card = (over: Partial<PaymentCard> = {}): PaymentCard =>
  ({
    id: 'pm_1',
    customerId: 'cus_1',
    brand: 'visa',
    last4: '4242',
    expMonth: 4,
    expYear: 2031,
    country: 'AT',
    funding: 'credit',
    fingerprint: 'print',
    checks: { line1: undefined, postalCode: undefined, cvc: undefined },
    threeDSecureSupported: true,
    billing: { address: {}, email: undefined, name: undefined, phone: undefined },
    livemode: true,
    createdMs: 5,
    metadata: {},
    ...over,
  }) as unknown as PaymentCard
const stored = (over: Partial<StoredCard> = {}): StoredCard =>
  ({ cardId: 'pm_1', version: 3, card: card(), ...over }) as StoredCard
const decline = (reason: string, retry = 'later'): Decline => ({ reason, retry }) as unknown as Decline

describe('a stored card', () => {
  test('is due when its last month begins, then when that month has ended, then never', () => {
    const notice = (noticed?: string) => nextNotice(stored(noticed === undefined ? {} : { noticed }))
    expect(notice()).toEqual({ kind: 'expiring', mark: '2031-4 expiring', atMs: Date.UTC(2031, 3, 1) })
    expect(notice('2031-4 expiring')).toEqual({
      kind: 'expired',
      mark: '2031-4 expired',
      atMs: Date.UTC(2031, 4, 1),
    })
    expect(notice('2031-4 expired')).toBeUndefined()
    // Another date begins again.
    expect(notice('2030-4 expired')).toMatchObject({ kind: 'expiring' })
    expect(nextNotice({ cardId: 'pm_1', version: 1 })).toBeUndefined()
  })

  test('grows its version, keeps its marks, and is due with its next notice', () => {
    const first = cardItem(ACCOUNT, card(), undefined)
    expect(first).toMatchObject({ version: 1, dueAtMs: Date.UTC(2031, 3, 1) })
    const next = cardItem(ACCOUNT, card(), stored({ declined: true, reason: 'declined' }))
    expect(next).toMatchObject({ version: 4, declined: true, reason: 'declined' })
    expect(cardItem(ACCOUNT, card(), stored({ noticed: '2031-4 expired' }))).not.toHaveProperty('dueAtMs')
    expect(parseStoredCard(first).card).toMatchObject({ last4: '4242', fingerprint: 'print' })
  })

  test('that is removed leaves a mark, by which an older reading is known', async () => {
    const { table, holds } = open()
    await table.put(cardTombstone(ACCOUNT, 'pm_1', 3, NOW_MS))
    const late = (of: StoredCard | undefined): Write => ({
      put: cardItem(ACCOUNT, card(), of),
      if: unchangedCard(of),
    })
    expect(await holds(late(undefined))).toBe(false)
    expect(await holds(late(stored()))).toBe(false)
    expect(await holds(late(stored({ version: 4 })))).toBe(true)
  })

  test('is listed newest first', async () => {
    const { table, deps } = open()
    const cards = [card(), card({ id: 'pm_2', createdMs: 9 }), card({ id: 'pm_3', createdMs: 7 })]
    for (const each of cards) await table.put(cardItem(ACCOUNT, each, undefined))
    const listed = await listStoredCards(deps, { id: ACCOUNT } as Account)
    expect(listed.map(({ id }) => id)).toEqual(['pm_2', 'pm_3', 'pm_1'])
    expect(() => customerOf({ customer: undefined } as Account)).toThrow(
      expect.objectContaining({ code: 'not_found', detail: 'The account has no card on file yet.' }),
    )
    const customer = { id: 'cus_1' }
    expect(customerOf({ customer } as Account)).toBe(customer)
  })

  test('announces that it was added, has gone or is another default card, and nothing if nothing changed', () => {
    const { deps } = open()
    const types = (writes: Write[]) =>
      writes.map((write) => 'put' in write && [write.put.type, write.put.data])
    expect(types(cardAdded(deps, ACCOUNT, 'pm_1', undefined))).toEqual([['card.added', { cardId: 'pm_1' }]])
    expect(types(cardAdded(deps, ACCOUNT, 'pm_1', stored({ removing: true })))).toHaveLength(1)
    expect(cardAdded(deps, ACCOUNT, 'pm_1', stored())).toEqual([])
    expect(types(cardGone(deps, ACCOUNT, stored()))).toEqual([['card.removed', { cardId: 'pm_1' }]])
    expect(cardGone(deps, ACCOUNT, undefined)).toEqual([])
    expect(cardGone(deps, ACCOUNT, stored({ removing: true }))).toEqual([])
    expect(types(defaultCardChanged(deps, ACCOUNT, 'pm_1', undefined))).toEqual([
      ['card.default_changed', { cardId: undefined }],
    ])
    expect(defaultCardChanged(deps, ACCOUNT, 'pm_1', 'pm_1')).toEqual([])
  })
})

describe('the marks of a card', () => {
  /** The card after a change of its marks. */
  async function marked(before: StoredCard, change: (card: StoredCard) => Write[]) {
    const { table } = open()
    await table.put({ ...keys.card(ACCOUNT, 'pm_1'), ...before })
    const writes = change(before)
    if (writes.length > 0) await table.transact(writes)
    const { pk, sk, ...after } = (await table.get(keys.card(ACCOUNT, 'pm_1'))) ?? {}
    const { declined, reason, closed, restsUntilMs, version } = after as unknown as StoredCard
    return { writes: writes.length, version, declined, reason, closed, restsUntilMs }
  }
  const all = { declined: true, reason: 'declined', closed: true, restsUntilMs: 9 } as const
  const none = { declined: undefined, reason: undefined, closed: undefined, restsUntilMs: undefined }

  test('are set and removed together, with the next version', async () => {
    expect(await marked(stored(), (each) => markCard(ACCOUNT, each, all))).toEqual({
      writes: 1,
      version: 4,
      ...all,
    })
    expect(await marked(stored(all), (each) => markCard(ACCOUNT, each, {}))).toEqual({
      writes: 1,
      version: 4,
      ...none,
    })
  })

  test.each(['declined', 'reason', 'closed', 'restsUntilMs'] as const)(
    'are written if %s is another one, and not if all stay as they are',
    async (name) => {
      const other = { ...all, [name]: undefined }
      expect(await marked(stored(all), (each) => markCard(ACCOUNT, each, all))).toMatchObject({ writes: 0 })
      expect(await marked(stored(all), (each) => markCard(ACCOUNT, each, other))).toEqual({
        writes: 1,
        version: 4,
        ...other,
      })
      expect(await marked(stored(other), (each) => markCard(ACCOUNT, each, all))).toEqual({
        writes: 1,
        version: 4,
        ...all,
      })
    },
  )

  test('are those of a card on file only', () => {
    expect(markCard(ACCOUNT, undefined, all)).toEqual([])
    expect(markCard(ACCOUNT, stored({ removing: true }), all)).toEqual([])
    expect(markPaid(ACCOUNT, undefined)).toEqual([])
  })

  test('say that it is declined and why, unless it was reported as misused', async () => {
    const no = decline('insufficient_funds')
    expect(await marked(stored({ closed: true }), (each) => markDeclined(ACCOUNT, each, no))).toMatchObject({
      declined: true,
      reason: 'insufficient_funds',
      closed: true,
    })
    const reported = stored({ ...all, reason: 'card_disputed' })
    expect(await marked(reported, (each) => markDeclined(ACCOUNT, each, no))).toMatchObject({
      writes: 0,
      reason: 'card_disputed',
    })
  })

  test('go once it has paid, but a rest and a report of fraud stay', async () => {
    const rest = { ...none, restsUntilMs: 9 }
    expect(await marked(stored(all), (each) => markPaid(ACCOUNT, each))).toMatchObject(rest)
    expect(withProof(stored(all))).toMatchObject({ ...rest, cardId: 'pm_1', version: 3 })
    const reported = { ...all, reason: 'fraud_warning' } as const
    expect(await marked(stored(reported), (each) => markPaid(ACCOUNT, each))).toMatchObject({ writes: 0 })
    expect(withProof(stored(reported))).toMatchObject(reported)
    expect(withProof(undefined)).toBeUndefined()
  })

  test('keep it from being charged: for good if closed, and until its rest is over', async () => {
    const may = (marks: Partial<StoredCard>, nowMs = NOW_MS) => {
      const item = { ...keys.card(ACCOUNT, 'pm_1'), ...stored(marks) } as unknown as Item
      return chargeRefusal(item, nowMs)?.code
    }
    expect(may({})).toBeUndefined()
    expect(may({ declined: true })).toBeUndefined()
    expect(may({ closed: true })).toBe('card_declined')
    expect(may({ restsUntilMs: NOW_MS + 1 })).toBe('too_many_cards_tried')
    expect(may({ restsUntilMs: NOW_MS })).toBeUndefined()
    const { table, holds } = open()
    const condition: Write = { check: keys.card(ACCOUNT, 'pm_1'), if: mayCharge(NOW_MS) }
    for (const [marks, charges] of [
      [{}, true],
      [{ closed: true }, false],
      [{ restsUntilMs: NOW_MS }, true],
      [{ restsUntilMs: NOW_MS + 1 }, false],
    ] as const) {
      await table.put({ ...keys.card(ACCOUNT, 'pm_1'), ...marks })
      expect(await holds(condition), JSON.stringify(marks)).toBe(charges)
    }
  })
})

describe('what is remembered of a number', () => {
  const declinedTimes = (declines: number, reason = 'declined') => {
    let record: CardNumber = UNKNOWN_NUMBER
    for (let n = 0; n < declines; n++) record = withDecline(record, decline(reason), NOW_MS + n)
    return record
  }

  test('are its declines of the last 30 days: ten of them, and it rests until the first is older', () => {
    expect(restsUntilMs(declinedTimes(9), NOW_MS + 10)).toBe(0)
    expect(restsUntilMs(declinedTimes(10), NOW_MS + 10)).toBe(NOW_MS + 30 * DAY_MS)
    expect(restsUntilMs(declinedTimes(12), NOW_MS + 12)).toBe(NOW_MS + 2 + 30 * DAY_MS)
    expect(restsUntilMs(declinedTimes(10), NOW_MS + 30 * DAY_MS - 1)).toBe(NOW_MS + 30 * DAY_MS)
    expect(restsUntilMs(declinedTimes(10), NOW_MS + 30 * DAY_MS)).toBe(0)
    const late = withDecline(declinedTimes(3), decline('declined'), NOW_MS + 30 * DAY_MS + 1)
    expect(late.declinesMs).toEqual([NOW_MS + 2, NOW_MS + 30 * DAY_MS + 1])
  })

  test('is nothing of a try that reached no bank', () => {
    for (const reason of ['card_unusable', 'card_blocked']) {
      expect(reachedBank(decline(reason))).toBe(false)
      expect(declinedTimes(3, reason)).toEqual(UNKNOWN_NUMBER)
    }
    expect(reachedBank(decline('declined'))).toBe(true)
  })

  test('closes the entry, or the whole number, only if no retry can succeed', () => {
    const closing = (reason: string, retry = 'never') => [
      closesEntry(decline(reason, retry)),
      closesNumber(decline(reason, retry)),
    ]
    expect(closing('card_lost')).toEqual([true, true])
    expect(closing('card_lost', 'later')).toEqual([false, false])
    // Typed anew, the same card can work.
    for (const reason of ['card_expired', 'wrong_details', 'authentication_failed'])
      expect(closing(reason), reason).toEqual([true, false])
    for (const reason of ['authentication_required', 'card_unusable'])
      expect(closing(reason), reason).toEqual([false, false])
  })

  test('keeps it from being proved for 30 days after the bank said never, and for good after a report', async () => {
    const closed = withClosure(UNKNOWN_NUMBER, decline('card_lost', 'never'), NOW_MS)
    expect(closed).toMatchObject({ closed: { reason: 'card_lost', atMs: NOW_MS }, declinesMs: [] })
    const code = (record: CardNumber, nowMs = NOW_MS) => numberRefusal(record, nowMs)?.code
    expect(code(UNKNOWN_NUMBER)).toBeUndefined()
    expect(code(closed)).toBe('card_declined')
    expect(code(closed, NOW_MS + 30 * DAY_MS - 1)).toBe('card_declined')
    expect(code(closed, NOW_MS + 30 * DAY_MS)).toBeUndefined()
    const reported = { ...UNKNOWN_NUMBER, signals: { ch_1: 'card_disputed' as const } }
    expect(code(reported, NOW_MS + 900 * DAY_MS)).toBe('card_declined')
    expect(code({ ...UNKNOWN_NUMBER, signals: {} })).toBeUndefined()
    expect(code(declinedTimes(10))).toBe('too_many_cards_tried')
    const { table, holds } = open()
    const key = keys.cardNumber(ACCOUNT, 'print')
    const proves = (nowMs: number) => holds({ check: key, if: mayProve(nowMs) })
    expect(await proves(NOW_MS)).toBe(true)
    await table.put(cardNumberItem(ACCOUNT, 'print', closed, NOW_MS))
    expect([await proves(NOW_MS), await proves(NOW_MS + 30 * DAY_MS - 1)]).toEqual([false, false])
    expect(await proves(NOW_MS + 30 * DAY_MS)).toBe(true)
  })

  test('tells in seconds when it may be tried again', () => {
    const refusal = (isClosed: boolean, untilMs: number) => cardRefusal({ isClosed, untilMs }, NOW_MS)
    expect(refusal(false, NOW_MS)).toBeUndefined()
    expect(refusal(false, NOW_MS + 1)).toMatchObject({ code: 'too_many_cards_tried', retryAfterSeconds: 1 })
    expect(refusal(false, NOW_MS + 2001)).toMatchObject({ retryAfterSeconds: 3 })
    expect(refusal(true, 0)).toMatchObject({ code: 'card_declined' })
  })

  test('is kept for 30 days, or for good with a report, and no concurrent write is lost', async () => {
    const { table, deps, holds } = open()
    const item = (record: CardNumber) => cardNumberItem(ACCOUNT, 'print', record, NOW_MS)
    expect(item(declinedTimes(1))).toMatchObject({ version: 1, ttl: (NOW_MS + 30 * DAY_MS) / 1000 })
    expect(item({ ...declinedTimes(1), signals: {} })).toHaveProperty('ttl')
    expect(item({ ...declinedTimes(1), signals: { ch_1: 'fraud_warning' } })).not.toHaveProperty('ttl')
    expect(await readCardNumber(deps, ACCOUNT, 'print')).toEqual(UNKNOWN_NUMBER)
    const write = (record: CardNumber): Write => ({ put: item(record), if: unchangedNumber(record) })
    expect(await holds(write(UNKNOWN_NUMBER))).toBe(true)
    expect(await holds(write(UNKNOWN_NUMBER))).toBe(false)
    const now = await readCardNumber(deps, ACCOUNT, 'print')
    expect(now.version).toBe(1)
    expect(await holds(write(now))).toBe(true)
    expect(await holds(write(now))).toBe(false)
    await table.remove(keys.cardNumber(ACCOUNT, 'print'))
  })
})

describe('a decline', () => {
  /** An account with these cards; the marks of each and the numbers afterwards. */
  async function declined(
    cards: StoredCard[],
    tried: { cardId: string; asked?: string; cardFingerprint?: string; isProof: boolean },
    of: Decline,
    before: Record<string, CardNumber> = {},
  ) {
    const { table, deps } = open()
    for (const each of cards) await table.put({ ...keys.card(ACCOUNT, each.cardId), ...each })
    for (const [number, record] of Object.entries(before))
      await table.put(cardNumberItem(ACCOUNT, number, record, NOW_MS))
    const writes = await declineWrites(deps, ACCOUNT, { asked: tried.cardId, ...tried }, of)
    if (writes.length > 0) await table.transact(writes)
    const marks = Object.fromEntries(
      await Promise.all(
        cards.map(async ({ cardId }) => {
          const { declined, reason, closed, restsUntilMs } = parseStoredCard(
            (await table.get(keys.card(ACCOUNT, cardId))) ?? {},
          )
          return [cardId, { declined, reason, closed, restsUntilMs }]
        }),
      ),
    )
    const numbers = Object.fromEntries(
      await Promise.all(
        ['print', 'pm_1', 'pm_9', 'ctoken_1'].map(async (number) => {
          const { declinesMs, closed } = await readCardNumber(deps, ACCOUNT, number)
          return [number, [declinesMs.length, closed?.reason]]
        }),
      ),
    )
    return { marks, numbers }
  }
  const clean = { declined: undefined, reason: undefined, closed: undefined, restsUntilMs: undefined }
  const twin = stored({ cardId: 'pm_2', card: card({ id: 'pm_2' }) as never })
  const other = stored({ cardId: 'pm_3', card: card({ id: 'pm_3', fingerprint: 'other' }) as never })
  const lost = decline('card_lost', 'never')

  test('of a charge marks the card, counts for its number, and leaves other entries as they are', async () => {
    const { marks, numbers } = await declined(
      [stored(), twin, other],
      { cardId: 'pm_1', isProof: false },
      decline('insufficient_funds'),
    )
    expect(marks).toEqual({
      pm_1: { ...clean, declined: true, reason: 'insufficient_funds' },
      pm_2: clean,
      pm_3: clean,
    })
    expect(numbers).toMatchObject({ print: [1, undefined], pm_1: [0, undefined] })
  })

  test('for good of a charge closes that entry to charges, and the number to nothing', async () => {
    const { marks, numbers } = await declined([stored(), twin], { cardId: 'pm_1', isProof: false }, lost)
    expect(marks).toEqual({
      pm_1: { ...clean, declined: true, reason: 'card_lost', closed: true },
      pm_2: clean,
    })
    expect(numbers).toMatchObject({ print: [1, undefined], pm_1: [0, undefined] })
  })

  test('for good of a proof closes the number, its entries and the payment method', async () => {
    const { marks, numbers } = await declined(
      [stored(), twin, other],
      { cardId: 'pm_1', isProof: true },
      lost,
    )
    const closed = { ...clean, declined: true, reason: 'card_lost', closed: true }
    expect(marks).toEqual({ pm_1: closed, pm_2: closed, pm_3: clean })
    expect(numbers).toMatchObject({ print: [1, 'card_lost'], pm_1: [0, 'card_lost'] })
  })

  test('for wrong details of a proof closes the payment method alone, or the token', async () => {
    const wrong = decline('wrong_details', 'never')
    const tried = { cardId: 'pm_9', cardFingerprint: 'print', isProof: true }
    expect((await declined([twin], tried, wrong)).numbers).toMatchObject({
      print: [1, undefined],
      pm_9: [0, 'wrong_details'],
      ctoken_1: [0, undefined],
    })
    expect((await declined([twin], { ...tried, asked: 'ctoken_1' }, wrong)).numbers).toMatchObject({
      pm_9: [0, undefined],
      ctoken_1: [0, 'wrong_details'],
    })
    expect((await declined([twin], { ...tried, isProof: false }, wrong)).numbers).toMatchObject({
      pm_9: [0, undefined],
    })
    expect((await declined([twin], tried, decline('wrong_details'))).numbers).toMatchObject({
      pm_9: [0, undefined],
    })
  })

  test('of a card whose number nobody knows counts for the payment method', async () => {
    expect((await declined([], { cardId: 'pm_9', isProof: true }, lost)).numbers).toMatchObject({
      pm_9: [1, 'card_lost'],
      print: [0, undefined],
    })
    const wrong = decline('wrong_details', 'never')
    expect((await declined([], { cardId: 'pm_9', isProof: true }, wrong)).numbers).toMatchObject({
      pm_9: [1, 'wrong_details'],
    })
  })

  test('that is the tenth in 30 days lets every entry of the number rest', async () => {
    const nine = { version: 0, declinesMs: Array.from({ length: 9 }, (_, n) => NOW_MS - 9 + n) }
    const { marks } = await declined(
      [stored(), twin, other],
      { cardId: 'pm_1', isProof: false },
      decline('insufficient_funds'),
      { print: nine },
    )
    const restsUntilMs = NOW_MS - 9 + 30 * DAY_MS
    expect(marks).toEqual({
      pm_1: { ...clean, declined: true, reason: 'insufficient_funds', restsUntilMs },
      pm_2: { ...clean, restsUntilMs },
      pm_3: clean,
    })
  })

  test('takes no place of a report of fraud', async () => {
    const reported = { declined: true, reason: 'card_disputed', closed: true } as const
    const cards = [stored(reported), { ...twin, ...reported }]
    const { marks } = await declined(cards, { cardId: 'pm_1', isProof: true }, lost)
    expect(marks).toEqual({ pm_1: { ...clean, ...reported }, pm_2: { ...clean, ...reported } })
  })

  test('that reached no bank marks the card, and counts for nothing', async () => {
    const { marks, numbers } = await declined(
      [stored(), twin],
      { cardId: 'pm_1', isProof: false },
      decline('card_blocked', 'never'),
    )
    expect(marks).toEqual({ pm_1: { ...clean, declined: true, reason: 'card_blocked' }, pm_2: clean })
    expect(numbers).toMatchObject({ print: [0, undefined] })
    expect(
      (await declined([], { cardId: 'pm_1', isProof: false }, decline('card_blocked'))).numbers,
    ).toMatchObject({
      pm_1: [0, undefined],
    })
  })
})

describe('a report of fraud', () => {
  test('is a dispute by which the holder denies the payment, unless the bank only asks', () => {
    const is = (reason: string, status: string) => isFraudDispute({ reason, status } as never)
    expect(is('fraudulent', 'open')).toBe(true)
    expect(is('unrecognized', 'won')).toBe(true)
    expect(is('fraudulent', 'inquiry')).toBe(false)
    expect(is('duplicate', 'open')).toBe(false)
  })

  test('holds until every dispute is won, and a warning only without a dispute', () => {
    const of = (statuses: string[], isWarned: boolean) =>
      fraudReportOf(
        {
          id: 'ch_1',
          disputes: statuses.map((status) => ({ reason: 'fraudulent', status })),
        } as unknown as Charge,
        isWarned,
      )
    expect(of(['open'], false)).toEqual({ chargeId: 'ch_1', reason: 'card_disputed' })
    expect(of(['won', 'lost'], false).reason).toBe('card_disputed')
    expect(of(['won', 'won'], true).reason).toBeUndefined()
    expect(of([], true).reason).toBe('fraud_warning')
    expect(of([], false).reason).toBeUndefined()
    expect(of(['inquiry'], true).reason).toBe('fraud_warning')
    expect([
      isSignal('card_disputed'),
      isSignal('fraud_warning'),
      isSignal('declined'),
      isSignal(undefined),
    ]).toEqual([true, true, false, false])
  })

  test('names the card to its owner, as far as it is known', () => {
    expect(warningNews({ card: { last4: '4242' } } as Charge)).toMatchObject({
      messageType: 'card_warning',
      text: expect.stringContaining('the card ending in 4242 may'),
    })
    expect(warningNews({ card: undefined } as Charge).text).toContain('ending in ???? may')
  })

  test('blocks a number since its first report, and is in the list as long as one holds', () => {
    const none = { digest: 'd', version: 0 }
    const report = { id: 'ch_1', accountId: ACCOUNT, reason: 'card_disputed' as const }
    const first = withFraud(none, report, NOW_MS)
    expect(first).toMatchObject({
      reports: { ch_1: { accountId: ACCOUNT, reason: 'card_disputed', atMs: NOW_MS } },
    })
    expect(withFraud(first ?? none, report, NOW_MS + 5)).toBeUndefined()
    expect(withFraud(none, { ...report, reason: undefined }, NOW_MS)).toBeUndefined()
    const second = withFraud(first ?? none, { ...report, id: 'ch_2', reason: 'fraud_warning' }, NOW_MS + 5)
    expect(Object.keys(second?.reports ?? {})).toEqual(['ch_1', 'ch_2'])
    const withdrawn = withFraud(second ?? none, { ...report, reason: undefined }, NOW_MS)
    expect(Object.keys(withdrawn?.reports ?? {})).toEqual(['ch_2'])
    const put = (record: typeof first, before = none) => {
      const write = fingerprintWrite(before, { ...none, ...record }, NOW_MS)
      return 'put' in write ? write.put : {}
    }
    expect(put(first)).toMatchObject({ version: 1, blockedAtMs: NOW_MS, status: 'blocked-card' })
    expect(put({ ...none, ...first, blockedAtMs: 7 })).toMatchObject({ blockedAtMs: 7 })
    expect(put({ ...none, orderedAtMs: 3 })).toMatchObject({ blockedAtMs: NOW_MS })
    expect(put({ ...none, reports: {}, blockedAtMs: 7 })).not.toHaveProperty('blockedAtMs')
    expect(put(none, { ...none, version: 4 })).toMatchObject({ version: 5 })
  })
})

describe('a hold', () => {
  const account = (over: Partial<Account> = {}) => ({ id: ACCOUNT, ...over }) as Account
  const begun = (over: Partial<Account> = {}) => {
    const { deps } = open()
    return newHold(deps, account(over), { purpose: 'verify', cardId: 'pm_1', customerId: 'cus_1' })
  }
  const hold = (over: Partial<Hold> = {}): Hold => ({ ...begun().hold, ...over })
  const SCOPE = { livemode: true, stage: 'prod' }

  test('knows whether its account has a bundle that renews and a trial, and is due after its lease', () => {
    expect(begun()).toMatchObject({
      hold: {
        state: 'created',
        asked: 'pm_1',
        cardId: 'pm_1',
        amountCents: 100,
        currency: 'USD',
        createdAtMs: NOW_MS,
      },
      item: { dueAtMs: NOW_MS + MINUTE_MS },
    })
    expect(hold()).toMatchObject({ renews: undefined, trial: undefined })
    expect(begun({ bundle: 'STARTER', trialUnits: 5 }).hold).toMatchObject({ renews: true, trial: true })
  })

  test('has ended once it is proved or declined', () => {
    const states = ['created', 'saved', 'releasing', 'proved', 'declined'] as const
    expect(states.filter((state) => hasEnded(hold({ state })))).toEqual(['proved', 'declined'])
  })

  test('has one payment with the same parameters each time, found by its metadata', () => {
    const payment = holdPayment(hold(), SCOPE)
    expect(payment).toMatchObject({
      purpose: 'hold',
      amountCents: 100,
      currency: 'usd',
      customerId: 'cus_1',
      paymentMethodId: 'pm_1',
      metadata: { account: ACCOUNT, purchase: `hold_${hold().id}`, stage: 'prod' },
      idempotencyKey: `hold_${hold().id}`,
    })
    expect(holdOf({ metadata: payment.metadata as never })).toEqual({ accountId: ACCOUNT, holdId: hold().id })
    const id = 'b'.repeat(24)
    for (const metadata of [
      {},
      { account: ACCOUNT, purchase: id },
      { account: ACCOUNT, purchase: `hold_${id}0` },
      { account: ACCOUNT, purchase: `a_hold_${id}` },
      { account: `${ACCOUNT}0`, purchase: `hold_${id}` },
      { account: `0${ACCOUNT}`, purchase: `hold_${id}` },
      { purchase: `hold_${id}` },
    ])
      expect(holdOf({ metadata: metadata as never })).toBeUndefined()
  })

  const payment = (over: Record<string, unknown> = {}): Payment =>
    ({
      id: 'pi_1',
      amountCents: 100,
      currency: 'usd',
      customerId: 'cus_1',
      livemode: true,
      metadata: holdPayment(hold(), SCOPE).metadata,
      ...over,
    }) as unknown as Payment

  test.each<[string, Record<string, unknown>]>([
    ['amount', { amountCents: 99 }],
    ['currency', { currency: 'eur' }],
    ['customer', { customerId: 'cus_2' }],
    ['mode', { livemode: false }],
  ])('is not proved by a payment of another %s', (_, over) => {
    expect(isPaymentOfHold(payment(over), hold(), SCOPE)).toBe(false)
    expect(isPaymentOfHold(payment(over), hold({ paymentId: 'pi_1' }), SCOPE)).toBe(false)
  })

  test('knows its payment by the stored id, and before that by its metadata', () => {
    expect(isPaymentOfHold(payment(), hold(), SCOPE)).toBe(true)
    expect(isPaymentOfHold(payment({ metadata: {} }), hold({ paymentId: 'pi_1' }), SCOPE)).toBe(true)
    expect(isPaymentOfHold(payment(), hold({ paymentId: 'pi_2' }), SCOPE)).toBe(false)
    const { metadata } = payment()
    for (const other of [{ account: 'x' }, { purchase: 'x' }, { stage: 'dev' }])
      expect(isPaymentOfHold(payment({ metadata: { ...metadata, ...other } }), hold(), SCOPE)).toBe(false)
  })

  test('goes when it ends; only a request with an Idempotency-Key leaves its answer, for two days', async () => {
    const ended = async (over: Partial<Hold>, answer: 'proved' | 'declined' | undefined, now = over) => {
      const { table, deps, holds } = open()
      const key = keys.hold(ACCOUNT, hold().id)
      await table.put({ ...begun().item, ...now })
      const isWritten = await holds(endedHold(deps, hold(over), answer))
      return [isWritten, await table.get(key)] as const
    }
    expect(await ended({}, 'proved')).toEqual([true, undefined])
    expect(await ended({}, undefined)).toEqual([true, undefined])
    expect(await ended({ keyed: true }, undefined)).toEqual([true, undefined])
    const [isWritten, kept] = await ended({ keyed: true }, 'declined')
    expect([isWritten, kept]).toMatchObject([true, { state: 'declined', ttl: (NOW_MS + 2 * DAY_MS) / 1000 }])
    expect(kept).not.toHaveProperty('dueAtMs')
    // Such a request has joined meanwhile.
    expect(await ended({}, 'proved', { keyed: true })).toMatchObject([false, { state: 'created' }])
  })
})

describe('a customer', () => {
  const theirs = {
    id: 'cus_1',
    accountId: ACCOUNT,
    livemode: true,
    createdMs: 5,
    balanceCents: 0,
    delinquent: false,
    defaultPaymentMethodId: 'pm_1',
  }

  test('grows its version, and is another one with another id', async () => {
    const { table, holds } = open()
    const item = customerItem(ACCOUNT, theirs as never, undefined)
    expect(item).toMatchObject({ id: 'cus_1', defaultCardId: 'pm_1', version: 1 })
    const first = parseCustomer(item)
    expect(customerItem(ACCOUNT, theirs as never, { ...first, version: 6 })).toMatchObject({ version: 7 })
    const write = (of: typeof first | undefined): Write => ({ put: item, if: unchangedCustomer(of) })
    expect(await holds(write(undefined))).toBe(true)
    expect(await holds(write(undefined))).toBe(false)
    expect(await holds(write({ ...first, id: 'cus_2' }))).toBe(false)
    expect(await holds(write({ ...first, version: 2 }))).toBe(false)
    expect(await holds(write(first))).toBe(true)
    await table.remove(keys.customer(ACCOUNT))
  })
})

test('a ConfirmationToken is known by its name, and its card once the payment was confirmed with it', () => {
  expect([isConfirmationToken('ctoken_1'), isConfirmationToken('pm_1')]).toEqual([true, false])
  expect([tokenIn('ctoken_1'), tokenIn('pm_1')]).toEqual(['ctoken_1', undefined])
  const payment = { paymentMethodId: 'pm_2', cardFingerprint: 'print' }
  const token = { asked: 'ctoken_1', cardId: 'ctoken_1' }
  expect(withCardOf(token, payment)).toEqual({ asked: 'ctoken_1', cardId: 'pm_2', cardFingerprint: 'print' })
  expect(withCardOf(token, { ...payment, cardFingerprint: undefined })).toEqual({ ...token, cardId: 'pm_2' })
  expect(
    withCardOf({ ...token, cardFingerprint: 'old' }, { ...payment, cardFingerprint: undefined }),
  ).toMatchObject({
    cardFingerprint: 'old',
  })
  expect(withCardOf(token, { ...payment, paymentMethodId: undefined })).toEqual(token)
  const method = { asked: 'pm_1', cardId: 'pm_1' }
  expect(withCardOf(method, payment)).toEqual(method)
})
