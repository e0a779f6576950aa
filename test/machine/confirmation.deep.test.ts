import { expect, test } from 'vitest'
import { startApp } from '../support/app.ts'
import {
  confirmationBeforeResend,
  confirmationBeforeReset,
  confirmationBroken,
  confirmedAtOnce,
  lateConfirmation,
  moveBeforeConfirmation,
  moveBeforeReset,
  resetBeforeConfirmation,
} from './confirmation-flows.ts'
import { importPorts } from './import-flows.ts'

const app = await startApp()
const ports = { ...(await importPorts(app)), origin: { by: 'anyone', ip: '127.0.0.1' } as const }

test.each(['repeat', 'sign-in'] as const)(
  'a confirmation broken at any call ends with a %s, the password at the vault and the trial credited once',
  async (by) => {
    expect(await confirmationBroken(app, ports, by)).toBe(6)
  },
)

test('copies of a confirmation at once, and sign-ins meanwhile, end with the password of the registration', () =>
  confirmedAtOnce(app, ports))

test('with a reset before any of its calls: the old password never comes back', async () => {
  expect(await resetBeforeConfirmation(app, ports)).toBe(6)
})

test('before any call of a reset: the old password never comes back', async () => {
  expect(await confirmationBeforeReset(app, ports)).toBeGreaterThan(3)
})

test('with a move before any of its calls: no address is confirmed that nobody has shown a code of', async () => {
  const { calls, moved } = await moveBeforeConfirmation(app, ports)
  expect(calls).toBe(6)
  expect(moved).toBeGreaterThan(0)
  expect(moved).toBeLessThan(calls)
})

test('a move before any call of a reset: only one of the two succeeds', async () => {
  expect(await moveBeforeReset(app, ports)).toBeGreaterThan(3)
})

test('before any call of a resend: no confirmed account is left with a code', async () => {
  expect(await confirmationBeforeResend(app, ports)).toBeGreaterThan(3)
})

test('that the vault carries out late: a reset afterwards waits for it', () => lateConfirmation(app, ports))
