import { TOTP } from 'otpauth'
import { describe, expect, test } from 'vitest'
import {
  activateTwoFactor,
  enrolTwoFactor,
  isOtherwiseUsed,
  removeTwoFactor,
  type SecondFactor,
  withFactor,
  withSecondFactor,
} from '../../core/credentials/two-factor.ts'
import { expr } from '../../core/table/expression.ts'
import { keys } from '../../core/table/keys.ts'
import { ConditionFailed } from '../../core/table/table.ts'
import { REPEAT_MS } from '../../core/time.ts'
import { codeOf, EMAIL, openAccountWorld, SESSION } from '../machine/account-world.ts'
import { interleaved } from '../machine/quota-world.ts'

const STEP_MS = 30_000
const HOUR_MS = 3_600_000
const MINUTE_MS = 60_000

async function open(profileChange = {}) {
  const world = await openAccountWorld(profileChange)
  const { ports, caller, profile, advance, nowMs } = world
  const codeAt = (seed: string, steps = 0) =>
    new TOTP({ secret: seed }).generate({ timestamp: nowMs() + steps * STEP_MS })
  const enrol = async (sessionId = SESSION) => enrolTwoFactor(ports, await caller(sessionId))
  const activate = async (code: string) => activateTwoFactor(ports, await caller(), code)
  return {
    ...world,
    ...{ codeAt, enrol, activate },
    /** A code that no step near now has. */
    wrongCode: (seed: string) => {
      const near = [-2, -1, 0, 1, 2].map((steps) => codeAt(seed, steps))
      return (
        ['123400', '123401', '123402', '123403', '123404', '123405'].find((code) => !near.includes(code)) ??
        ''
      )
    },
    /** Switches two-factor authentication on, and moves the clock to the next code. */
    async on() {
      const { seed } = await enrol()
      const recoveryCodes = await activate(codeAt(seed))
      advance(STEP_MS)
      return { seed, recoveryCodes }
    },
    tries: async () => (await profile()).twofaTries,
    /** Uses a factor for a write of the profile. */
    async use(given: string | undefined, through = ports) {
      const { account } = await caller()
      return withSecondFactor(through, account, given, (factor) =>
        through.table.transact([
          {
            update: keys.profile(account.id),
            set: withFactor(expr`SET #updatedAtMs = ${1}`, factor),
            if: factor.condition,
          },
          ...factor.writes,
        ]),
      )
    },
    remove: async (code: string, through = ports) => removeTwoFactor(through, await caller(), code),
  }
}

describe('an enrolment', () => {
  test('shows a seed, its address for apps and a picture of it, and has no effect by itself', async () => {
    const { enrol, profile } = await open()
    const { seed, uri, svg } = await enrol()
    expect(seed).toMatch(/^[A-Z2-7]{32}$/)
    expect(uri).toContain(`secret=${seed}`)
    expect(decodeURIComponent(uri)).toContain(EMAIL)
    expect(svg).toContain('<svg')
    expect(await profile()).not.toHaveProperty('totp')
  })

  test('that is begun again within an hour shows the same seed, and another one after it', async () => {
    const { enrol, advance } = await open()
    const { seed } = await enrol()
    advance(HOUR_MS - 1)
    expect((await enrol()).seed).toBe(seed)
    advance(1)
    expect((await enrol()).seed).not.toBe(seed)
  })

  test('of each session has a seed of its own, and those of ended sessions are forgotten', async () => {
    const session = { sinceMs: 1, provedMs: 1 }
    const { enrol, profile, set } = await open()
    const { sessions } = (await profile()) as { sessions: object }
    await set({ sessions: { ...sessions, other: session, gone: session } })
    const seeds = [await enrol(), await enrol('other'), await enrol('gone')].map(({ seed }) => seed)
    expect(new Set(seeds).size).toBe(3)
    await set({ sessions: { ...sessions, other: session } })
    await set({ totpPending: { ...((await profile()).totpPending as object), [SESSION]: undefined } })
    await enrol()
    expect(Object.keys((await profile()).totpPending as object).sort()).toEqual(['other', SESSION])
  })

  test('is what a code needs, and is refused while it is on', async () => {
    const { on, enrol, activate } = await open()
    expect(await codeOf(activate('123456'))).toBe('two_factor_not_enrolled')
    await on()
    expect(await codeOf(enrol())).toBe('two_factor_enabled')
  })

  test('of a session that ends meanwhile is none', async () => {
    const { ports, caller, set, profile } = await open()
    const ending = interleaved(ports, 'update', 1, () => set({ sessions: {} }))
    expect(await codeOf(enrolTwoFactor(ending, await caller()))).toBe('session_ended')
    expect(await profile()).not.toHaveProperty('totpPending')
  })
})

describe('switching on', () => {
  test('ends all other sessions and what they have begun, is announced, and gives ten codes that work once', async () => {
    const session = { sinceMs: 1, provedMs: 1 }
    const { enrol, activate, codeAt, announced, profile, set, use, advance } = await open()
    const { sessions } = (await profile()) as { sessions: object }
    await set({ sessions: { ...sessions, other: session }, pendingEmail: 'x@example.com', twofaOffBy: 'x' })
    const { seed } = await enrol()
    let codes: string[] = []
    const told = await announced(async () => {
      codes = await activate(codeAt(seed))
    })
    expect(told).toEqual({
      events: [['account.access_changed', { what: 'two-factor-on' }]],
      ...{ notices: ['two-factor-on'], audit: ['account.two-factor-on'] },
    })
    const now = await profile()
    expect(Object.keys(now.sessions as object)).toEqual([SESSION])
    for (const name of ['pendingEmail', 'totpPending', 'twofaOffBy']) expect(now).not.toHaveProperty(name)
    expect(new Set(codes).size).toBe(10)
    for (const code of codes) expect(code).toMatch(/^[0-9a-hjkmnp-tv-z]{5}-[0-9a-hjkmnp-tv-z]{5}$/)
    advance(STEP_MS)
    for (const code of codes) await use(code)
    for (const code of codes) {
      expect(await codeOf(use(code))).toBe('two_factor_invalid')
      await set({ twofaTries: 0 })
    }
  })

  test('takes the code of whichever session’s seed, and decrypts the newest first', async () => {
    const session = { sinceMs: 1, provedMs: 1 }
    const { enrol, codeAt, profile, set, advance, ports, caller } = await open()
    await set({ sessions: { ...((await profile()).sessions as object), older: session, newer: session } })
    const begun = []
    for (const name of ['older', 'newer', SESSION]) {
      begun.push(await enrol(name))
      advance(1000)
    }
    // The table keeps the names of a map in no order.
    const { older, newer, ...own } = (await profile()).totpPending as Record<string, object>
    await set({ totpPending: { newer, ...own, older } })
    const decrypted: string[] = []
    const decrypt = (id: string, sealed: string) => {
      decrypted.push(JSON.parse(sealed)[1])
      return ports.secrets.decrypt(id, sealed)
    }
    const secrets = { ...ports.secrets, decrypt }
    const seeds = begun.map(({ seed }) => seed)
    expect(
      await activateTwoFactor({ ...ports, secrets }, await caller(), codeAt(seeds[0] ?? '')),
    ).toHaveLength(10)
    expect(decrypted).toEqual(seeds.toReversed())
  })

  test('shows the same codes again for an hour, while none was used, for the same code alone', async () => {
    const { enrol, activate, codeAt, wrongCode, advance, tries } = await open()
    const { seed } = await enrol()
    const code = codeAt(seed)
    const codes = await activate(code)
    expect(await activate(code)).toEqual(codes)
    expect(await codeOf(activate(wrongCode(seed)))).toBe('two_factor_enabled')
    expect(await tries()).toBe(1)
    advance(2 * STEP_MS)
    // A code that the app shows now is no repeat, and no guess.
    expect(await codeOf(activate(codeAt(seed)))).toBe('two_factor_enabled')
    expect(await tries()).toBe(1)
    expect(await activate(code)).toEqual(codes)
    expect(await tries()).toBe(0)
    advance(REPEAT_MS - 2 * STEP_MS - 1)
    expect(await activate(code)).toEqual(codes)
    advance(1)
    expect(await codeOf(activate(code))).toBe('two_factor_enabled')
    expect(await tries()).toBe(0)
  })

  test('shows nothing again once a code was used', async () => {
    const { on, activate, codeAt, use } = await open()
    const { seed, recoveryCodes } = await on()
    const first = codeAt(seed, -1)
    expect(await activate(first)).toEqual(recoveryCodes)
    await use(recoveryCodes[0])
    expect(await codeOf(activate(first))).toBe('two_factor_enabled')
    const other = await open()
    const made = await other.on()
    await other.use(other.codeAt(made.seed))
    expect(await codeOf(other.activate(other.codeAt(made.seed, -1)))).toBe('two_factor_enabled')
  })
})

describe('a code', () => {
  test('of the app works once, and none that is older than the last one', async () => {
    const { on, codeAt, use, profile, advance } = await open()
    const { seed } = await on()
    const [before, now] = [codeAt(seed, -1), codeAt(seed)]
    await use(now)
    for (const code of [now, before]) expect(await codeOf(use(code))).toBe('two_factor_invalid')
    expect((await profile()).twofaTries).toBe(0)
    advance(STEP_MS)
    expect(await codeOf(use(codeAt(seed)))).toBe('done')
  })

  test('of the app is of the step now, or one before or after', async () => {
    const { on, codeAt, use, advance } = await open()
    const { seed } = await on()
    advance(10 * STEP_MS)
    for (const steps of [-2, 2]) expect(await codeOf(use(codeAt(seed, steps)))).toBe('two_factor_invalid')
    for (const steps of [-1, 0, 1]) expect(await codeOf(use(codeAt(seed, steps)))).toBe('done')
  })

  test('for recovery may be typed with other letters and spaces, and its owner is told', async () => {
    const { on, use, announced } = await open()
    const { recoveryCodes } = await on()
    const typed = ` ${(recoveryCodes[3] ?? '').toUpperCase().replace('-', ' - ').replaceAll('0', 'O')} `
    expect(await announced(() => use(typed))).toEqual({
      events: [],
      ...{ notices: ['recovery-code-used'], audit: ['account.recovery-code-used'] },
    })
    expect(await codeOf(use(recoveryCodes[3]))).toBe('two_factor_invalid')
  })

  test('is asked for where there is none, and without a second factor nothing is', async () => {
    const { on, use, tries } = await open()
    await expect(use('123456')).rejects.toThrow('the account has no second factor')
    await on()
    expect(await codeOf(use(undefined))).toBe('two_factor_required')
    expect(await tries()).toBe(0)
  })

  test('that is asked for during a recovery says how it can be stopped', async () => {
    const { on, use, set, nowMs } = await open()
    await on()
    const detailOf = () => use(undefined).catch((error: { detail?: string }) => error.detail)
    expect(await detailOf()).toBeUndefined()
    await set({ recovery: { beganAtMs: nowMs() } })
    expect(await detailOf()).toContain('Someone who can read your mail is recovering this account')
    await set({ recovery: { beganAtMs: nowMs(), by: 'operator' } })
    expect(await detailOf()).toContain('Our support team was asked to switch two-factor authentication off')
  })
})

describe('wrong codes', () => {
  test('lock after five in a row for 15 minutes, a right one included', async () => {
    const { on, use, wrongCode, codeAt, advance } = await open()
    const { seed } = await on()
    advance(15 * MINUTE_MS)
    const lock = () => use(codeAt(seed)).catch((error) => [error.code, error.retryAfterSeconds])
    for (let n = 0; n < 5; n++) expect(await codeOf(use(wrongCode(seed)))).toBe('two_factor_invalid')
    expect(await lock()).toEqual(['two_factor_locked', 900])
    advance(15 * MINUTE_MS - 1500)
    expect(await lock()).toEqual(['two_factor_locked', 2])
    advance(1499)
    expect(await lock()).toEqual(['two_factor_locked', 1])
    advance(1)
    expect(await codeOf(use(codeAt(seed)))).toBe('done')
  })

  test('are counted again from 0 after a right one, and after 15 minutes', async () => {
    const { on, use, wrongCode, codeAt, advance, tries } = await open()
    const { seed } = await on()
    for (let n = 0; n < 4; n++) await codeOf(use(wrongCode(seed)))
    expect(await tries()).toBe(4)
    await use(codeAt(seed))
    expect(await tries()).toBe(0)
    for (let n = 0; n < 4; n++) await codeOf(use(wrongCode(seed)))
    advance(15 * MINUTE_MS)
    await codeOf(use(wrongCode(seed)))
    expect(await tries()).toBe(1)
  })

  test('are in the audit log, and count for whatever asks for a code', async () => {
    const { enrol, activate, wrongCode, announced, on, remove } = await open()
    const { seed } = await enrol()
    const told = await announced(async () => {
      expect(await codeOf(activate(wrongCode(seed)))).toBe('two_factor_invalid')
    })
    expect(told.audit).toEqual(['account.wrong-code'])
    const { seed: other } = await on()
    for (let n = 0; n < 5; n++) expect(await codeOf(remove(wrongCode(other)))).toBe('two_factor_invalid')
    expect(await codeOf(remove(wrongCode(other)))).toBe('two_factor_locked')
  })

  test('at once are counted one by one', async () => {
    const { on, use, wrongCode, advance } = await open()
    const { seed } = await on()
    advance(16 * MINUTE_MS)
    const told = await Promise.all(Array.from({ length: 9 }, () => codeOf(use(wrongCode(seed)))))
    expect(told.filter((each) => each === 'two_factor_invalid')).toHaveLength(5)
    expect(told.filter((each) => each === 'two_factor_locked')).toHaveLength(4)
  })

  test('are not what a right one is whose request fails: the try is given back, and the code stays good', async () => {
    const { on, use, ports, codeAt, tries, lines } = await open()
    const { seed } = await on()
    const outage = new Error('an outage')
    const broken = { ...ports, table: { ...ports.table, transact: () => Promise.reject(outage) } }
    await expect(use(codeAt(seed), broken)).rejects.toBe(outage)
    expect([await tries(), lines]).toEqual([0, []])
    expect(await codeOf(use(codeAt(seed)))).toBe('done')
  })

  test('are what a right one counts for, if the try cannot be given back, and the operator learns of it', async () => {
    const { on, use, ports, codeAt, tries, lines, id } = await open()
    const { seed } = await on()
    let updates = 0
    const table = {
      ...ports.table,
      transact: () => Promise.reject(new Error('an outage')),
      update: (...args: Parameters<typeof ports.table.update>) =>
        ++updates === 1 ? ports.table.update(...args) : Promise.reject(new Error('an outage')),
    }
    await expect(use(codeAt(seed), { ...ports, table })).rejects.toThrow('an outage')
    expect(await tries()).toBe(1)
    expect(lines).toMatchObject([{ level: 'warn', accountId: id }])
  })

  test('of before a change of the factors are not given back after it', async () => {
    const { on, use, ports, codeAt, set, profile, tries } = await open()
    const { seed } = await on()
    const { totp } = (await profile()) as { totp: object }
    const table = {
      ...ports.table,
      async transact() {
        await set({ totp: { ...totp, lastStep: 1 }, twofaTries: 3 })
        throw new Error('an outage')
      },
    }
    await expect(use(codeAt(seed), { ...ports, table })).rejects.toThrow('an outage')
    expect(await tries()).toBe(3)
  })
})

describe('switching off', () => {
  test('takes the seed and the codes away, ends all other sessions, stops a recovery and is announced', async () => {
    const session = { sinceMs: 1, provedMs: 1 }
    const { on, remove, codeAt, set, profile, announced, nowMs, items } = await open()
    const { seed } = await on()
    await set({
      sessions: { ...((await profile()).sessions as object), other: session },
      ...{ recovery: { beganAtMs: nowMs() }, recoveryCode: 'x', twofaTries: 3 },
    })
    const told = await announced(() => remove(codeAt(seed)))
    const changes = ['two-factor-off', 'recovery-stopped'].map((what) => ['account.access_changed', { what }])
    expect(told.events).toHaveLength(2)
    expect(told.events).toEqual(expect.arrayContaining(changes))
    expect(told.notices?.sort()).toEqual(['recovery-stopped', 'two-factor-off'])
    const now = await profile()
    expect([Object.keys(now.sessions as object), now.twofaTries]).toEqual([[SESSION], 0])
    for (const name of ['totp', 'recovery', 'recoveryCode']) expect(now).not.toHaveProperty(name)
    expect(await items('RECOVERY')).toEqual([])
  })

  test('is no error again with the same code, and with any other one it is', async () => {
    const { on, remove, codeAt, announced } = await open()
    const { seed, recoveryCodes } = await on()
    const code = codeAt(seed)
    await remove(code)
    expect(await announced(() => remove(code))).toEqual({ events: [], notices: [], audit: [] })
    expect(await codeOf(remove(recoveryCodes[0] ?? ''))).toBe('two_factor_not_enrolled')
    await on()
    expect(await codeOf(remove(code))).toBe('two_factor_invalid')
  })
})

describe('what a factor adds to a write', () => {
  const factor: SecondFactor = {
    ...{ set: expr`#b = ${2}`, remove: expr`#c`, condition: expr`#d = ${4}`, writes: [] },
  }

  test('is its own assignment, and the end of a recovery', () => {
    const text = (set: ReturnType<typeof withFactor>) => set.text.join('?')
    expect(text(withFactor(expr`SET #a = ${1}`, undefined))).toBe('SET #a = ?')
    expect(text(withFactor(expr`SET #a = ${1}`, undefined, [expr`#e`]))).toBe('SET #a = ? REMOVE #e')
    expect(text(withFactor(expr`SET #a = ${1}`, factor, [expr`#e`]))).toBe(
      'SET #a = ?, #b = ? REMOVE #e, #c, #recovery, #recoveryCode',
    )
  })

  test('has been used by another request if only its own writes fail', () => {
    const failed = (...places: number[]) => new ConditionFailed(new Map(places.map((at) => [at, undefined])))
    expect(isOtherwiseUsed(failed(1), factor)).toBe(true)
    expect(isOtherwiseUsed(failed(0), factor)).toBe(false)
    expect(isOtherwiseUsed(failed(0, 1), factor)).toBe(false)
    expect(isOtherwiseUsed(failed(1), factor, 2)).toBe(false)
    expect(isOtherwiseUsed(failed(2), factor, 2)).toBe(true)
    expect(isOtherwiseUsed(failed(1), undefined)).toBe(false)
    expect(isOtherwiseUsed(new Error('an outage'), factor)).toBe(false)
  })
})
