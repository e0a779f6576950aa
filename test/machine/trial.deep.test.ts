// biome-ignore-all lint/suspicious/noTemplateCurlyInString: a patch of a source that has them

import { expect, test } from 'vitest'
import { confirmEmail } from '../../core/account/confirm.ts'
import { trialClaim } from '../../core/quota/trial.ts'
import { keys } from '../../core/table/keys.ts'
import { startApp } from '../support/app.ts'
import { newPerson } from '../support/people.ts'
import { everyBreak } from './faults.ts'
import { plant } from './plant.ts'

/** A mailbox gets one trial, whatever breaks while two of its accounts confirm. */

const app = await startApp()
const ports = await app.ports()

/** Registers two accounts of one mailbox. @returns their ids and codes */
async function twins() {
  const { username } = newPerson()
  const people = []
  for (const email of [`${username}@mail.example`, `${username}+2@mail.example`]) {
    const person = newPerson({ email })
    await app.register(person)
    const { accountId } = await app.login(person)
    people.push({ accountId, code: app.mailedCode(email) })
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
