import { afterAll, describe, expect, test } from 'vitest'
import { ensureCustomer } from '../../core/cards/customer.ts'
import { blockRefusal, debtWrites, fingerprintDigest } from '../../core/cards/fingerprint.ts'
import { keepCard } from '../../core/cards/keep-card.ts'
import { uncountCardAttempt } from '../../core/cards/velocity.ts'
import { proveCard } from '../../core/cards/verify.ts'
import { DomainError } from '../../core/errors.ts'
import type { Payment, Payments, Ports } from '../../core/ports.ts'
import { fingerprintKey, keys } from '../../core/table/keys.ts'
import type { Write } from '../../core/table/table.ts'
import { writeAll } from '../../core/table/write-all.ts'
import { DECLINED, GOOD, onFile } from '../machine/card-flows.ts'
import { type CardWorld, expectSettled, listed, MINUTE_MS, openCardWorld } from '../machine/card-world.ts'
import { recordingLog } from '../support/log.ts'
import { losingRaces } from '../support/lost-races.ts'

const worlds: CardWorld[] = []
async function open(...options: Parameters<typeof openCardWorld>): Promise<CardWorld> {
  const world = await openCardWorld(...options)
  worlds.push(world)
  return world
}
afterAll(() => Promise.all(worlds.map((world) => world.close())))

/** Ports whose table loses the races of these writes, up to `most` times. */
function racing(world: CardWorld, loses: Parameters<typeof losingRaces>[1], most?: number) {
  const { table, lost } = losingRaces(world.ports.table, loses, most)
  return { ports: { ...world.ports, table } as Ports, lost }
}

/** Ports with other methods of the provider, and the lines of their log. */
function paying(world: CardWorld, methods: Partial<Payments>) {
  const { log, lines } = recordingLog(world.ports.clock.nowMs)
  return { ports: { ...world.ports, log, payments: { ...world.ports.payments, ...methods } } as Ports, lines }
}

const codeOf = (call: Promise<unknown>): Promise<string> =>
  call.then(
    () => 'done',
    (error) => error.code ?? String(error),
  )

/** Whether a write puts a card on file. */
const keepsCard = (write: Write) => 'put' in write && String(write.put.sk).startsWith('CARD#')
const endsHold = (write: Write) => 'remove' in write && write.remove.sk.startsWith('HOLD#')

describe('a verification that others overtake', () => {
  test('puts its card on file by the last of five tries', async () => {
    const world = await open()
    const card = await world.newCard(GOOD)
    const { ports, lost } = racing(world, keepsCard, 4)
    expect(await world.verify(card, ports)).toBe('proved')
    expect(lost()).toBe(4)
    expect(await listed(world)).toEqual([card])
  })

  test('stays open after five lost races, and the job ends it', async () => {
    const world = await open()
    const card = await world.newCard(GOOD)
    const { ports, lost } = racing(world, keepsCard)
    expect(await world.verify(card, ports)).toBe('pending')
    expect(lost()).toBe(5)
    expect(await world.stored()).toMatchObject({ cards: [], openHold: expect.any(String) })
    world.advance(MINUTE_MS)
    await world.sweep()
    expect(await listed(world)).toEqual([card])
    expect(await world.deliver()).toBe(0)
    await expectSettled(world, 'after lost races')
  })

  test('by another copy of its request, or by another change of the account, begins again', async () => {
    for (const prefix of ['REQUEST#', '#PROFILE']) {
      const world = await open()
      const card = await world.newCard(GOOD)
      const { ports, lost } = racing(world, (_, { sk }) => sk.startsWith(prefix), 1)
      const input = { purpose: 'verify', cardId: card } as const
      const options = { idempotencyKey: 'key' }
      expect(await proveCard(ports, await world.account(), input, options)).toEqual({ status: 'proved' })
      expect(lost()).toBe(1)
    }
  })

  test('of a declined card ends by the last of five tries, and stays open after five lost races', async () => {
    const world = await open()
    const once = racing(world, endsHold, 4)
    expect(await world.verify(await world.newCard(DECLINED), once.ports)).toBe('card_declined')
    expect(once.lost()).toBe(4)
    expect(await world.stored()).toMatchObject({ holds: [], openHold: undefined })
    const never = racing(world, endsHold)
    expect(await world.verify(await world.newCard(DECLINED), never.ports)).toBe('pending')
    expect(never.lost()).toBe(5)
    expect(await world.stored()).toMatchObject({ holds: [{}], openHold: expect.any(String) })
    world.advance(MINUTE_MS)
    await world.sweep()
    expect(await world.deliver()).toBe(0)
    await expectSettled(world, 'after lost races')
  })
})

test('a card that has paid is kept by the last of five tries, and is told to be tried again after five', async () => {
  const world = await open()
  const cardId = await onFile(world)
  const { customer } = await world.account()
  const kept = {
    accountId: world.accountId,
    customerId: customer?.id ?? '',
    cardId,
    address: undefined,
    decidesTrial: false,
  }
  const once = racing(world, keepsCard, 4)
  await keepCard(once.ports, kept)
  expect(once.lost()).toBe(4)
  const never = racing(world, keepsCard)
  expect(await codeOf(keepCard(never.ports, kept))).toBe('temporarily_unavailable')
  expect(never.lost()).toBe(5)
})

describe('a customer at the provider', () => {
  const account = { id: '0'.repeat(24), username: 'ada', name: undefined, customer: undefined }

  test('that the operator has deleted is replaced, ten times in a row and no more', async () => {
    const world = await open()
    const replaced: (string | undefined)[] = []
    const { ports } = paying(world, {
      createCustomer: async (_, deleted) => {
        replaced.push(deleted)
        if (replaced.length > 20) throw new Error('without an end')
        return { id: `cus_${replaced.length}` } as never
      },
      updateCustomer: () => Promise.reject(new DomainError('not_found')),
    })
    const mail = { ...account, email: 'ada@mail.example' }
    expect(await codeOf(ensureCustomer(ports, mail))).toBe('temporarily_unavailable')
    expect(replaced).toEqual([undefined, ...Array.from({ length: 9 }, (_, n) => `cus_${n + 1}`)])
  })

  test('is created once, and another error of the provider is no reason for another one', async () => {
    const world = await open()
    let created = 0
    const { ports } = paying(world, {
      createCustomer: async () => ({ id: `cus_${++created}` }) as never,
      updateCustomer: () => Promise.reject(new DomainError('temporarily_unavailable')),
    })
    const mail = { ...account, email: 'ada@mail.example' }
    expect(await codeOf(ensureCustomer(ports, mail))).toBe('temporarily_unavailable')
    expect(created).toBe(1)
  })

  test.each([
    ['ada@mail.example', []],
    [
      'ädä@mail.example',
      [
        {
          level: 'warn',
          what: 'Stripe does not take the e-mail address of a customer; the customer is kept without it',
        },
      ],
    ],
  ])('with the address %s is kept, and a line says if Stripe does not take it', async (email, expected) => {
    const world = await open({ email })
    const { ports, lines } = paying(world, {})
    await ensureCustomer(ports, await world.account())
    expect(lines).toMatchObject(expected.map((line) => ({ ...line, accountId: world.accountId })))
    expect(lines).toHaveLength(expected.length)
    expect((await world.account()).customer?.id).toMatch(/^cus_/)
  })
})

describe('a card of accounts that owe', () => {
  const fingerprint = 'print'
  const debtors = async (world: CardWorld) =>
    (await world.ports.table.get(fingerprintKey(fingerprintDigest(fingerprint))))?.debtors

  async function owing(world: CardWorld, ...accountIds: string[]) {
    for (const id of accountIds)
      await writeAll(world.ports, await debtWrites(world.ports, fingerprint, id, true))
  }

  test('is looked at again after those who have paid are taken off, five times and no more', async () => {
    const world = await open()
    await owing(world, 'paid')
    const { ports, lost } = racing(
      world,
      (_, key) => key.pk === fingerprintKey(fingerprintDigest(fingerprint)).pk,
    )
    expect(await codeOf(blockRefusal(ports, fingerprint, world.accountId))).toBe('temporarily_unavailable')
    expect(lost()).toBe(5)
    expect(await blockRefusal(world.ports, fingerprint, world.accountId)).toBeUndefined()
    expect(await debtors(world)).toBeUndefined()
  })

  test('keeps the debt of the account that pays with it, which what it buys pays', async () => {
    const world = await open()
    await owing(world, 'paid', world.accountId)
    expect(await blockRefusal(world.ports, fingerprint, world.accountId)).toBeUndefined()
    expect(await debtors(world)).toEqual([world.accountId])
  })

  test('is refused as long as another account owes', async () => {
    const world = await open({ owed: { purchase: 5 }, balanceCents: -5 })
    await owing(world, 'paid', world.accountId)
    expect(await blockRefusal(world.ports, fingerprint, 'another')).toMatchObject({ code: 'card_declined' })
    expect(await debtors(world)).toEqual(['paid', world.accountId].sort())
  })

  test('has nothing to take off for an account without a debt', async () => {
    const world = await open()
    expect(await debtWrites(world.ports, fingerprint, world.accountId, false)).toEqual([])
    expect(await debtWrites(world.ports, undefined, world.accountId, true)).toEqual([])
  })
})

describe('a try of a card that reached no bank', () => {
  test('is taken back by the last of three tries, and stays counted after three lost races', async () => {
    const world = await open({ cardTriesMs: [1, 2, 3, 2] })
    const tried = { accountId: world.accountId, createdAtMs: 2 }
    const isProfile = (_: Write, { sk }: { sk: string }) => sk === keys.profile(world.accountId).sk
    const never = racing(world, isProfile)
    await uncountCardAttempt(never.ports, tried)
    expect(never.lost()).toBe(3)
    expect((await world.account()).cardTriesMs).toEqual([1, 2, 3, 2])
    const once = racing(world, isProfile, 2)
    await uncountCardAttempt(once.ports, tried)
    expect(once.lost()).toBe(2)
    expect((await world.account()).cardTriesMs).toEqual([1, 2, 3])
  })

  test('that is not counted any more changes nothing, and another failure is told', async () => {
    const world = await open({ cardTriesMs: [1, 2] })
    await uncountCardAttempt(world.ports, { accountId: world.accountId, createdAtMs: 9 })
    expect((await world.account()).cardTriesMs).toEqual([1, 2])
    const table = { ...world.ports.table, update: () => Promise.reject(new TypeError('torn')) }
    const torn = uncountCardAttempt({ ...world.ports, table }, { accountId: world.accountId, createdAtMs: 2 })
    expect(await codeOf(torn)).toBe('TypeError: torn')
  })
})

describe('a hold whose amount is to be released', () => {
  /** A verification whose release fails once, so that its hold is left. */
  async function withHold() {
    const world = await open()
    const card = await world.newCard(GOOD)
    const { ports } = paying(world, {
      cancelPayment: () => Promise.reject(new DomainError('temporarily_unavailable')),
    })
    expect(await world.verify(card, ports)).toBe('proved')
    expect((await world.stored()).holds).toMatchObject([{ state: 'releasing' }])
    world.advance(2 * MINUTE_MS)
    return world
  }
  const holds = async (world: CardWorld) => (await world.stored()).holds.length

  test.each([
    ['canceled', 0],
    ['succeeded', 0],
    ['unconfirmed', 1],
    ['held', 1],
  ] as const)('stays due until the provider has canceled it or has taken it: %s', async (status, left) => {
    const world = await withHold()
    const { ports } = paying(world, { cancelPayment: async () => ({ status }) as Payment })
    await world.sweep(ports)
    expect(await holds(world)).toBe(left)
  })

  test('is over if the provider has deleted its payment, and a line says so', async () => {
    const world = await withHold()
    const { ports, lines } = paying(world, {
      cancelPayment: () => Promise.reject(new DomainError('not_found')),
      readPayment: async () => undefined,
    })
    await world.sweep(ports)
    expect(await holds(world)).toBe(0)
    expect(lines.filter(({ level }) => level === 'warn')).toMatchObject([
      {
        what: 'the provider has deleted the payment of a hold; the verification ends',
        accountId: world.accountId,
        holdId: expect.any(String),
      },
    ])
  })
})
