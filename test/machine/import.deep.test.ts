import { describe, expect, test } from 'vitest'
import { startApp } from '../support/app.ts'
import {
  firstSignInAtOnce,
  firstSignInBroken,
  guessAtOnce,
  importAtOnce,
  importBroken,
  importPorts,
  lateAtVault,
  resetMeanwhile,
  signInMeanwhile,
} from './import-flows.ts'

const app = await startApp()
const ports = await importPorts(app)

describe('an import', () => {
  test('broken at any call makes, with its repeat, one account with its units, customer, card and mail once', async () => {
    expect(await importBroken(app, ports)).toBe(6)
  })

  test('sent four times at once makes every account once', () => importAtOnce(app, ports))
})

describe('the first sign-in with an imported password', () => {
  test('broken at any call leaves that password working, and later no hash', async () => {
    expect(await firstSignInBroken(app, ports)).toBe(13)
  })

  test('from several devices at once lets all of them in', () => firstSignInAtOnce(app, ports))

  test('with a reset before any of its calls: the old password never comes back', async () => {
    expect(await resetMeanwhile(app, ports)).toBe(13)
  })

  test('before any call of a reset: the old password never comes back', async () => {
    expect(await signInMeanwhile(app, ports)).toBe(5)
  })

  test('that the vault carries out after a reset: the old password never comes back', async () => {
    expect(await lateAtVault(app, ports)).toBe(5)
  })

  test('guessed at many times at once is looked at five times, and then locked', () =>
    guessAtOnce(app, ports))
})
