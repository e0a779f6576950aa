// biome-ignore-all lint/suspicious/noTemplateCurlyInString: a patch of a source that has them

import { describe, expect, test } from 'vitest'
import { readAccount } from '../../core/account/account.ts'
import { confirmEmail } from '../../core/account/confirm.ts'
import { importUsers } from '../../core/account/import.ts'
import { fingerprintDigest } from '../../core/cards/fingerprint.ts'
import { proveCard } from '../../core/cards/verify.ts'
import type { Ports } from '../../core/ports.ts'
import { hadTrial, trialClaim } from '../../core/quota/trial.ts'
import { keys } from '../../core/table/keys.ts'
import { startApp } from '../support/app.ts'
import { inLiveMode } from '../support/live-mode.ts'
import { newPerson } from '../support/people.ts'
import { fingerprintOf } from '../support/shared-tries.ts'
import { accountIdOf } from '../support/state.ts'
import { customerWithCards, newCard } from '../support/stripe.ts'
import { everyBreak } from './faults.ts'
import { plant } from './plant.ts'

/**
 * A mailbox gets one trial, whatever breaks while two of its accounts confirm. What breaks, repeats and races while the
 * first card decides about a trial is in the machine of purchases.
 */

const app = await startApp()
const ports = await app.ports()

/** Registers two accounts of one mailbox. @returns their ids and codes */
async function twins() {
  const { username } = newPerson()
  const people = []
  for (const email of [`${username}@mail.example`, `${username}+2@mail.example`]) {
    const person = newPerson({ email })
    await app.register(person)
    people.push({ accountId: await accountIdOf(app, person.username), code: app.mailedCode(email) })
  }
  return people as [(typeof people)[0], (typeof people)[0]]
}

const unitsOf = async (accountId: string): Promise<number> => {
  const entries = await ports.table.list(keys.account(accountId), 'LEDGER#')
  const { l = 0 } = (await ports.table.get(keys.quota(accountId))) ?? {}
  const credited = entries.reduce((sum, { units }) => sum + Number(units), 0)
  expect(l).toBe(credited)
  return credited
}

async function expectOneTrial(accountIds: readonly string[], title: string): Promise<void> {
  const units = await Promise.all(accountIds.map(unitsOf))
  expect(units.toSorted(), title).toEqual([0, 100])
}

test('a confirmation broken at any call and repeated gives one trial to its mailbox', async () => {
  const calls = await everyBreak(ports, async ({ broken, title }) => {
    const [first, second] = await twins()
    await confirmEmail(broken, first.code).catch(() => {})
    await Promise.all([first, second].map(({ code }) => confirmEmail(ports, code)))
    await expectOneTrial([first.accountId, second.accountId], title)
  })
  expect(calls).toBeGreaterThan(2)
})

test('an account whose mailbox had the trial, broken at any call and repeated, begins without units', async () => {
  await everyBreak(ports, async ({ broken, title }) => {
    const [first, second] = await twins()
    await confirmEmail(ports, first.code)
    await confirmEmail(broken, second.code).catch(() => {})
    await confirmEmail(ports, second.code)
    await expectOneTrial([first.accountId, second.accountId], title)
  })
})

test('a planted second trial is found', async () => {
  const { functions, remove } = await plant(
    {
      near: trialClaim,
      find: 'if: expr`attribute_not_exists(pk) OR #untilMs <= ${nowMs}`',
      put: 'if: expr`attribute_not_exists(pk) OR #untilMs >= ${nowMs}`',
    },
    { confirmEmail },
  )
  try {
    const [first, second] = await twins()
    for (const { code } of [first, second]) await functions.confirmEmail(ports, code)
    await expect(expectOneTrial([first.accountId, second.accountId], 'planted')).rejects.toThrow()
  } finally {
    remove()
  }
})

describe('one trial for each card', () => {
  const live = inLiveMode(ports)
  const YEAR_MS = 365 * 86_400_000

  const confirmed = async (): Promise<string> => (await app.signUp()).accountId

  async function prove(accountId: string, number: string, through: Ports = live): Promise<void> {
    const account = await readAccount(ports, accountId)
    if (!account) throw new Error('the account is gone')
    const cardId = await newCard(app, number)
    expect(await proveCard(through, account, { purpose: 'verify', cardId })).toMatchObject({
      status: 'proved',
    })
  }

  const noticesOf = async (accountId: string) =>
    (await ports.table.list(keys.account(accountId), 'NOTICE#')).flatMap(({ messageType, message }) =>
      messageType === 'trial_used' ? [message] : [],
    )
  const kindsOf = async (accountId: string) =>
    (await ports.table.list(keys.account(accountId), 'LEDGER#')).map(({ kind, units }) => [kind, units])

  test('of three accounts that prove one card at once, one keeps its trial; the others lose it and are told why', async () => {
    const people = [await confirmed(), await confirmed(), await confirmed()]
    await Promise.all(people.map((id) => prove(id, '4242424242424242')))
    const units = await Promise.all(people.map(unitsOf))
    expect(units.toSorted()).toEqual([0, 0, 100])
    for (const [at, id] of people.entries()) {
      const isKept = units[at] === 100
      const text =
        'Your card has had the trial units with another account, so we took back 100 units of your trial. Units that you buy are not affected.'
      expect(await noticesOf(id)).toEqual(isKept ? [] : [text])
      expect(await kindsOf(id)).toEqual([['trial', 100], ...(isKept ? [] : [['take', -100]])])
    }
  })

  test('a further card backs no trial and costs none, and the first one proved again changes nothing', async () => {
    const [one, other] = [await confirmed(), await confirmed()]
    await prove(one, '5555555555554444')
    await prove(one, '6011111111111117')
    await prove(other, '6011111111111117')
    await prove(other, '5555555555554444')
    app.advance(3_600_000)
    await prove(one, '5555555555554444')
    expect([await unitsOf(one), await unitsOf(other)]).toEqual([100, 100])
  })

  test('a year later a card may back another trial', async () => {
    const number = '378282246310005'
    await prove(await confirmed(), number)
    app.advance(YEAR_MS - 1)
    const early = await confirmed()
    await prove(early, number)
    app.advance(1)
    const late = await confirmed()
    await prove(late, number)
    expect([await unitsOf(early), await unitsOf(late)]).toEqual([0, 100])
  })

  test('an account without a trial leaves the card to another one', async () => {
    const [first, second] = await twins()
    for (const { code } of [first, second]) await confirmEmail(ports, code)
    await prove(second.accountId, '4000056655665556')
    const other = await confirmed()
    await prove(other, '4000056655665556')
    expect([await unitsOf(second.accountId), await unitsOf(other)]).toEqual([0, 100])
  })

  test('a first card costs one write more in live mode than in test mode, and one that takes a trial back a second try', async () => {
    const number = '4000000000005126'
    const costOf = async (through: Ports) => {
      const id = await confirmed()
      app.resetCalls()
      await prove(id, number, through)
      const { dynamodb, readUnits, writeUnits } = app.calls()
      return { ...dynamodb, readUnits, writeUnits }
    }
    const inTest = await costOf(ports)
    const kept = await costOf(live)
    const calls = { Query: 2, GetItem: 3, TransactWriteItems: 4, DeleteItem: 1 }
    expect(inTest).toEqual({ ...calls, readUnits: 5, writeUnits: 40 })
    expect(kept).toEqual({ ...inTest, writeUnits: inTest.writeUnits + 2 })
    // Refused, then two reads that find the trial, its mark and its ledger, and what takes the trial back.
    expect(await costOf(live)).toEqual({
      ...kept,
      ...{ TransactWriteItems: 5, Query: 5, GetItem: 5, readUnits: 10, writeUnits: 65 },
    })
  })

  test('in test mode, where everybody has the same cards, no card decides', async () => {
    const people = [await confirmed(), await confirmed()]
    for (const id of people) await prove(id, '5555555555554444', ports)
    expect(await Promise.all(people.map(unitsOf))).toEqual([100, 100])
  })

  test('the default card of an imported account has had its trial, and its other cards have not', async () => {
    const customer = await customerWithCards(app, 3)
    const { email, username } = newPerson()
    const users = [{ email, username, customer }]
    const options = { reason: 'moving', dryRun: false, invite: false }
    const numbers = ['4242424242424242', '5555555555554444', '6011111111111117']
    const had = (number: string) => hadTrial(ports, fingerprintDigest(fingerprintOf(number)))
    app.advance(2 * YEAR_MS)
    expect(await Promise.all(numbers.map(had))).toEqual([false, false, false])
    const by = { ...live, origin: { by: 'operator', name: 'bob' } as const }
    expect(await importUsers(by, users, options)).toMatchObject([{ status: 'imported' }])
    expect(await Promise.all(numbers.map(had))).toEqual([false, false, true])
  })
})
