import { describe, expect, test } from 'vitest'
import { asciiEmail } from '../../core/cards/ascii-email.ts'
import { successors } from '../../core/cards/default-card.ts'
import { customerDetails } from '../../core/cards/details.ts'
import {
  beginTry,
  numberTry,
  provedNumber,
  sharedNumberRefusal,
  tryRefusal,
  uncountShared,
} from '../../core/cards/shared-limits.ts'
import type { LiveCard } from '../../core/cards/stored.ts'
import { twinsOf } from '../../core/cards/twins.ts'
import { countCardAttempt, requireVelocity, withTry } from '../../core/cards/velocity.ts'
import type { DomainError } from '../../core/errors.ts'
import type { Ports } from '../../core/ports.ts'
import { ConditionFailed, type Write } from '../../core/table/table.ts'
import { memoryTable } from '../machine/memory-table.ts'

const SECOND_MS = 1000
const MINUTE_MS = 60 * SECOND_MS
const HOUR_MS = 60 * MINUTE_MS
const DAY_MS = 24 * HOUR_MS
/** The first moment of a day, and so of every window. */
const NOW_MS = Date.UTC(2026, 10, 21)

/** Seconds to wait until the next try; 0 if it is allowed. */
function waitOf(call: () => unknown): number {
  try {
    call()
    return 0
  } catch (error) {
    expect(error).toMatchObject({ code: 'too_many_cards_tried' })
    return (error as DomainError).retryAfterSeconds ?? 0
  }
}

describe('the cards that an account tries', () => {
  const at = (...minutes: number[]) => minutes.map((each) => NOW_MS + each * MINUTE_MS)

  test('are three an hour: the fourth waits until the first is an hour old, to the millisecond', () => {
    const three = at(0, 10, 20)
    expect(waitOf(() => requireVelocity(three.slice(1), NOW_MS + 20 * MINUTE_MS))).toBe(0)
    expect(waitOf(() => requireVelocity(three, NOW_MS + 20 * MINUTE_MS))).toBe(40 * 60)
    expect(waitOf(() => requireVelocity(three, NOW_MS + HOUR_MS - 1))).toBe(1)
    expect(waitOf(() => requireVelocity(three, NOW_MS + HOUR_MS))).toBe(0)
  })

  test('are ten a day: the longer of two waits counts', () => {
    const ten = at(0, 60, 120, 180, 240, 300, 360, 420, 421, 422)
    const nowMs = NOW_MS + 423 * MINUTE_MS
    expect(waitOf(() => requireVelocity(ten, nowMs))).toBe((DAY_MS - 423 * MINUTE_MS) / 1000)
    expect(waitOf(() => requireVelocity(ten.slice(1), nowMs))).toBe((420 + 60 - 423) * 60)
    expect(waitOf(() => requireVelocity(ten, NOW_MS + DAY_MS))).toBe(0)
  })

  test('are kept for a day, with the new one last', () => {
    expect(withTry(at(0, 1), NOW_MS + DAY_MS)).toEqual([...at(1), NOW_MS + DAY_MS])
    expect(countCardAttempt(at(0), NOW_MS + MINUTE_MS)).toEqual(at(0, 1))
    expect(waitOf(() => countCardAttempt(at(0, 1, 2), NOW_MS + 3 * MINUTE_MS))).toBeGreaterThan(0)
  })
})

/** A table and the tries of new cards that it counts. */
function open() {
  const table = memoryTable()
  const deps = { table } as unknown as Ports
  /** Writes a try. @returns why it could not begin. */
  async function write(tries: Write[], refusalOf: (failure: ConditionFailed) => DomainError | undefined) {
    try {
      await table.transact(tries)
      return undefined
    } catch (error) {
      if (!(error instanceof ConditionFailed)) throw error
      return refusalOf(error)
    }
  }
  const owner = (id: string, defaultCardId?: string) => ({
    id,
    mailbox: `${id}@x`,
    customer: { defaultCardId },
  })
  const begin = (of: ReturnType<typeof owner>, nowMs = NOW_MS) => {
    const tries = beginTry(of, nowMs)
    return write(tries, (failure) => tryRefusal(failure, 0, tries, nowMs))
  }
  const tryNumber = (fingerprint: string, nowMs = NOW_MS) =>
    write([numberTry(fingerprint, nowMs)], ({ failed }) => sharedNumberRefusal(failed.get(0), nowMs))
  /** How many of so many tries begin, and the seconds that the next one waits. */
  async function many(count: number, one: () => Promise<DomainError | undefined>) {
    let begun = 0
    let refusal: DomainError | undefined
    for (let n = 0; n < count; n++) {
      refusal = await one()
      if (!refusal) begun++
    }
    return [begun, refusal?.retryAfterSeconds]
  }
  return { table, deps, owner, begin, tryNumber, many }
}

describe('new cards that are tried', () => {
  test('of one mailbox are six an hour, whichever of its accounts tries', async () => {
    const { owner, begin, many } = open()
    let n = 0
    const next = () => begin({ ...owner(`account-${n++}`, 'pm'), mailbox: 'ada@x' }, NOW_MS + 20 * MINUTE_MS)
    expect(await many(8, next)).toEqual([6, 40 * 60])
    expect(await begin({ ...owner('other', 'pm') })).toBeUndefined()
    expect(await begin({ ...owner('a', 'pm'), mailbox: 'ada@x' }, NOW_MS + HOUR_MS)).toBeUndefined()
  })

  test('that reached no bank give their place back, but cost requests: thirty an hour', async () => {
    const { owner, begin, many, deps } = open()
    const ada = owner('ada', 'pm')
    const next = async () => {
      const refusal = await begin(ada)
      if (!refusal) await uncountShared(deps, ada, { accountId: 'ada', createdAtMs: NOW_MS })
      return refusal
    }
    expect(await many(32, next)).toEqual([30, 60 * 60])
  })

  test('of accounts without a card on file are sixty in ten seconds, and customers are not kept from theirs', async () => {
    const { owner, begin, many } = open()
    let n = 0
    expect(await many(62, () => begin(owner(`stranger-${n++}`), NOW_MS + 4_000))).toEqual([60, 6])
    expect(await begin(owner('customer', 'pm'), NOW_MS + 4_000)).toBeUndefined()
    expect(await begin(owner('late'), NOW_MS + 10_000)).toBeUndefined()
  })

  test('of accounts without a card on file are 1,200 an hour', async () => {
    const { owner, begin, many } = open()
    let n = 0
    expect(
      await many(1_201, () => begin(owner(`stranger-${n}`), NOW_MS + 10_000 * Math.floor(n++ / 50))),
    ).toEqual([1_200, (HOUR_MS - 240_000) / 1000])
  })

  test('of one number are ten an hour and twenty a day, and one that is proved gives its place back', async () => {
    const { table, tryNumber, many } = open()
    expect(await many(12, () => tryNumber('print'))).toEqual([10, 60 * 60])
    await table.transact(provedNumber({ accountId: 'a', createdAtMs: NOW_MS, cardFingerprint: 'print' }))
    expect(await many(2, () => tryNumber('print'))).toEqual([1, 60 * 60])
    expect(await many(12, () => tryNumber('print', NOW_MS + HOUR_MS))).toEqual([10, 23 * 60 * 60])
    expect(await many(2, () => tryNumber('print', NOW_MS + 2 * HOUR_MS))).toEqual([0, 22 * 60 * 60])
    expect(await tryNumber('print', NOW_MS + DAY_MS)).toBeUndefined()
    expect(await tryNumber('other')).toBeUndefined()
  })

  test('whose number was not counted yet have nothing to give back for it', async () => {
    const { deps, owner, table } = open()
    expect(provedNumber({ accountId: 'a', createdAtMs: NOW_MS })).toEqual([])
    await uncountShared(deps, owner('ada'), {
      accountId: 'ada',
      createdAtMs: NOW_MS,
      cardFingerprint: 'print',
    })
    expect(table.items()).toEqual([])
  })

  test('give their number’s place back after a try that reached no bank', async () => {
    const { deps, owner, begin, tryNumber, many } = open()
    const ada = owner('ada', 'pm')
    await begin(ada)
    await many(10, () => tryNumber('print'))
    await uncountShared(deps, ada, { accountId: 'ada', createdAtMs: NOW_MS, cardFingerprint: 'print' })
    expect(await many(2, () => tryNumber('print'))).toEqual([1, 60 * 60])
  })

  test('that could not begin for another reason are not refused for these', () => {
    const tries = beginTry({ id: 'a', mailbox: 'a@x', customer: undefined }, NOW_MS)
    expect(tries).toHaveLength(2)
    expect(tryRefusal({ failed: new Map([[5, undefined]]) }, 3, tries, NOW_MS)).toBeUndefined()
    expect(tryRefusal({ failed: new Map([[4, undefined]]) }, 3, tries.slice(0, 1), NOW_MS)).toBeUndefined()
    expect(tryRefusal({ failed: new Map([[4, undefined]]) }, 3, tries, NOW_MS)).toMatchObject({
      retryAfterSeconds: 1,
    })
  })
})

const card = (cardId: string, over: Record<string, unknown> = {}, more: Partial<LiveCard> = {}): LiveCard =>
  ({
    cardId,
    version: 1,
    card: { id: cardId, fingerprint: cardId, expMonth: 4, expYear: 2041, createdMs: 0, ...over },
    ...more,
  }) as unknown as LiveCard

describe('the card that follows a default card', () => {
  const order = (cards: LiveCard[], former: Parameters<typeof successors>[1]) =>
    successors(cards, former, NOW_MS).map(({ cardId }) => cardId)

  test('is a newer entry of the same card, then a usable one, then any other, and the former one last', () => {
    const cards = [
      card('former'),
      card('expired', { expMonth: 10, expYear: 2026 }),
      card('declined', { createdMs: 1 }, { declined: true } as Partial<LiveCard>),
      card('closed', { createdMs: 2 }, { closed: true } as unknown as Partial<LiveCard>),
      card('good'),
      card('same', { fingerprint: 'print', expYear: 2020 }),
    ]
    expect(order(cards, { id: 'former', fingerprint: 'print' })).toEqual([
      'same',
      'good',
      'former',
      'closed',
      'declined',
      'expired',
    ])
    expect(order(cards.slice(0, 2), { id: 'former' })).toEqual(['former', 'expired'])
  })

  test('is the newer of two that are alike, and a card is usable until its month ends', () => {
    expect(order([card('old'), card('new', { createdMs: 1 })], { id: undefined })).toEqual(['new', 'old'])
    const month = card('this-month', { expMonth: 11, expYear: 2026 })
    const usable = (nowMs: number) =>
      successors(
        [card('bad', { createdMs: 9 }, { declined: true } as Partial<LiveCard>), month],
        { id: undefined },
        nowMs,
      )[0]?.cardId
    expect(usable(Date.UTC(2026, 11, 1) - 1)).toBe('this-month')
    expect(usable(Date.UTC(2026, 11, 1))).toBe('bad')
  })
})

test('a twin is another entry with the same number; a card whose number nobody knows has none', () => {
  const cards = [
    card('a', { fingerprint: 'x' }),
    card('b', { fingerprint: 'x' }),
    card('c', { fingerprint: undefined }),
  ]
  expect(twinsOf(cards, { id: 'a', fingerprint: 'x' }).map(({ cardId }) => cardId)).toEqual(['b'])
  expect(twinsOf(cards, { id: 'd', fingerprint: undefined })).toEqual([])
})

describe('a customer at the provider', () => {
  test.each([
    ['ada@example.com', 'ada@example.com'],
    ['ada@bücher.example', 'ada@xn--bcher-kva.example'],
    ['"a@b"@example.com', '"a@b"@example.com'],
    ['ädä@example.com', undefined],
    ['ädä@bücher.example', undefined],
  ])('with the address %s has %s there', (email, ascii) => {
    expect(asciiEmail(email)).toBe(ascii)
  })

  test('has a name, and an address only if the account has one', () => {
    const address = {
      street: 'A',
      company: 'B',
      city: 'C',
      district: 'D',
      postCode: 'E',
      country: 'AT',
    } as never
    expect(customerDetails({ email: 'ada@example.com', username: 'ada', name: undefined })).toEqual({
      name: 'ada',
      email: 'ada@example.com',
    })
    expect(customerDetails({ email: 'ädä@example.com', username: 'ada', name: undefined, address })).toEqual({
      name: 'ada',
      address: { line1: 'A', line2: 'B', city: 'C', state: 'D', postalCode: 'E', country: 'AT' },
    })
  })
})
