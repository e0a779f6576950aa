import { TOTP } from 'otpauth'
import { describe, expect, test } from 'vitest'
import { announceRecoveries } from '../../core/credentials/announce-recoveries.ts'
import { codeText, newCode } from '../../core/credentials/codes.ts'
import { beginRecovery, stopRecovery, stopRecoveryByLink } from '../../core/credentials/recovery.ts'
import { resetFactors, stopFactorsReset } from '../../core/credentials/reset-factors.ts'
import { recoveryLinkCode } from '../../core/notifications/recovery-link.ts'
import { addressMoveKey, recoveryKey } from '../../core/table/keys.ts'
import { codeOf, openAccountWorld, PASSWORD } from '../machine/account-world.ts'
import { WHOLE_RUN } from '../machine/faults.ts'
import { interleaved } from '../machine/quota-world.ts'

const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS
const DAY_MS = 24 * HOUR_MS
const SEED = 'JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP'

/** An account with a second factor. */
async function open(change = {}) {
  const world = await openAccountWorld()
  const { id, ports, set, profile, items, caller, nowMs } = world
  const totp = { seed: JSON.stringify([id, SEED]), lastStep: 0, recovery: {} }
  await set({ totp, ...change })
  return {
    ...world,
    totp,
    recovery: async () => (await profile()).recovery as { beganAtMs: number; by?: string } | undefined,
    reminder: () => ports.table.get(recoveryKey(id)),
    appCode: () => new TOTP({ secret: SEED }).generate({ timestamp: nowMs() }),
    /** A new code of the mail, which replaces the one before. */
    async mailed(purpose: 'begin-recovery' | 'finish-recovery' = 'begin-recovery') {
      const { lookup, item } = newCode(ports, purpose, id)
      await ports.table.put(item)
      await set({ recoveryCode: lookup })
      return codeText(ports, purpose, id, lookup)
    },
    begin: (code: string, through = ports) => beginRecovery(through, code),
    stop: async (proof: { password?: string; twofa?: string }) => stopRecovery(ports, await caller(), proof),
    announce: () => announceRecoveries(ports, WHOLE_RUN),
    mailsQueued: async () => (await items('MAIL#')).map(({ template }) => template),
  }
}

describe('a recovery', () => {
  test('begins with a mailed code: it is announced at once, and its reminder waits', async () => {
    const { mailed, begin, recovery, reminder, announced, nowMs, mailsQueued, profile } = await open()
    const code = await mailed()
    const told = await announced(() => begin(code))
    expect(told).toMatchObject({ notices: ['recovery'], audit: ['account.recovery-begun'] })
    expect(await recovery()).toEqual({ beganAtMs: nowMs() })
    expect((await profile()).recoveriesMs).toEqual([nowMs()])
    expect(await reminder()).toMatchObject({ beganAtMs: nowMs(), daysTold: 0, dueAtMs: nowMs() + HOUR_MS })
    expect(await reminder()).not.toHaveProperty('by')
    expect(await mailsQueued()).toEqual(['recovery'])
  })

  test('begins once for a code, and another code leaves it as it is', async () => {
    const { mailed, begin, recovery, announced, advance } = await open()
    const code = await mailed()
    await begin(code)
    const begun = await recovery()
    advance(MINUTE_MS)
    const nothing = { events: [], notices: [], audit: [] }
    expect(await announced(() => begin(code))).toEqual(nothing)
    const other = await mailed()
    expect(await announced(() => begin(other))).toEqual(nothing)
    expect(await recovery()).toEqual(begun)
  })

  test('begins with no code that is wrong, superseded, for something else or of an account without a factor', async () => {
    const { mailed, begin, recovery, set } = await open()
    const old = await mailed()
    const code = await mailed()
    const other = await mailed('finish-recovery')
    await mailed()
    for (const wrong of [old, other, `${code.slice(0, -1)}${code.endsWith('0') ? '1' : '0'}`, ''])
      expect(await codeOf(begin(wrong))).toBe('invalid_code')
    const last = await mailed()
    await set({ totp: undefined })
    expect(await codeOf(begin(last))).toBe('invalid_code')
    expect(await recovery()).toBeUndefined()
  })

  test.each([
    ['suspended', 'account_suspended'],
    ['erased', 'invalid_code'],
    ['pending', 'invalid_code'],
    ['deactivated', 'done'],
  ])('of an account that is %s: %s', async (status, expected) => {
    const { mailed, begin } = await open({ status })
    expect(await codeOf(begin(await mailed()))).toBe(expected)
  })

  test('begins three times a week, and says when the next one may', async () => {
    const { mailed, begin, set, advance, profile } = await open()
    for (let n = 0; n < 3; n++) {
      await begin(await mailed())
      await set({ recovery: undefined })
      advance(DAY_MS)
    }
    const code = await mailed()
    await expect(begin(code)).rejects.toMatchObject({
      ...{ code: 'too_many_changes', retryAfterSeconds: (4 * DAY_MS) / 1000 },
      detail: expect.stringContaining('3 times a week'),
    })
    advance(4 * DAY_MS - 1)
    const late = await mailed()
    await expect(begin(late)).rejects.toMatchObject({ retryAfterSeconds: 1 })
    advance(1)
    expect(await codeOf(begin(late))).toBe('done')
    expect((await profile()).recoveriesMs).toHaveLength(3)
  })

  test('of two copies of a request at once begins once, and neither fails', async () => {
    const { mailed, begin, ports, recovery, announced } = await open()
    const code = await mailed()
    const during = interleaved(ports, 'transact', 1, () => begin(code))
    const told = await announced(() => begin(code, during))
    expect(told.notices).toEqual(['recovery'])
    expect(await recovery()).toBeDefined()
  })

  test('does not begin if the code is used up by guesses meanwhile, and does if something else has changed', async () => {
    const { mailed, begin, ports, set, recovery } = await open()
    const code = await mailed()
    const guesses = interleaved(ports, 'transact', 1, async () => {
      for (let n = 0; n < 5; n++) await codeOf(begin(`${code.slice(0, 16)}${'0'.repeat(16)}`))
    })
    expect(await codeOf(begin(code, guesses))).toBe('invalid_code')
    expect(await recovery()).toBeUndefined()
    const other = await mailed()
    const change = interleaved(ports, 'transact', 1, () => set({ generation: 7 }))
    expect(await codeOf(begin(other, change))).toBe('done')
  })

  test('is a way out for an address whose mail came back: mail to it is trusted again', async () => {
    const undeliverable = { 'ada@example.com': { reason: 'bounced', atMs: 1 } }
    const { mailed, begin, profile } = await open({ undeliverable })
    await begin(await mailed())
    expect((await profile()).undeliverable ?? {}).toEqual({})
  })
})

describe('the link of a mail', () => {
  const linked = (
    ports: Parameters<typeof recoveryLinkCode>[0],
    accountId: string,
    beganAtMs: number,
    what?: 'address',
  ) => recoveryLinkCode(ports, { accountId, beganAtMs, ...(what && { what }) })

  test('stops the recovery that it is about, once, and tells the owner', async () => {
    const { mailed, begin, ports, id, nowMs, recovery, announced, reminder, profile } = await open()
    await begin(await mailed())
    const link = linked(ports, id, nowMs())
    const told = await announced(() => stopRecoveryByLink(ports, link))
    expect(told).toMatchObject({
      events: [['account.access_changed', { what: 'recovery-stopped' }]],
      notices: ['recovery-stopped'],
    })
    expect([await recovery(), await reminder(), (await profile()).recoveryCode]).toEqual([
      ...[undefined, undefined, undefined],
    ])
    expect(await announced(() => stopRecoveryByLink(ports, link))).toMatchObject({ notices: [] })
  })

  test('stops no other recovery, and none that was finished', async () => {
    const { ports, id, set, recovery } = await open({ recovery: { beganAtMs: 2000 } })
    expect(await codeOf(stopRecoveryByLink(ports, linked(ports, id, 1000)))).toBe('done')
    expect(await recovery()).toEqual({ beganAtMs: 2000 })
    await set({ recoveredFrom: 1000 })
    expect(await codeOf(stopRecoveryByLink(ports, linked(ports, id, 1000)))).toBe('invalid_code')
    expect(await codeOf(stopRecoveryByLink(ports, linked(ports, '0'.repeat(24), 1000)))).toBe('invalid_code')
    expect(await codeOf(stopRecoveryByLink(ports, 'rubbish'))).toBe('invalid_code')
  })

  test('stops the change of the address that an operator has begun, and no other one', async () => {
    const move = { email: 'new@example.com', beganAtMs: 2000 }
    const { ports, id, profile, announced } = await open({ addressMove: move })
    await ports.table.put({ ...addressMoveKey(id), beganAtMs: 2000, daysTold: 0 })
    expect(await codeOf(stopRecoveryByLink(ports, linked(ports, id, 1000, 'address')))).toBe('done')
    expect((await profile()).addressMove).toEqual(move)
    const told = await announced(() => stopRecoveryByLink(ports, linked(ports, id, 2000, 'address')))
    expect(told.notices).toEqual(['address-kept'])
    expect([(await profile()).addressMove, await ports.table.get(addressMoveKey(id))]).toEqual([
      ...[undefined, undefined],
    ])
    expect(await codeOf(stopRecoveryByLink(ports, linked(ports, '0'.repeat(24), 1, 'address')))).toBe('done')
  })
})

describe('the owner stops a recovery', () => {
  const BEGUN = { recovery: { beganAtMs: 1000 }, recoveryCode: 'x' }

  test('with a recent session, and then nothing is left of it', async () => {
    const { stop, recovery, profile, announced, reminder, id, ports } = await open(BEGUN)
    await ports.table.put({ ...recoveryKey(id), beganAtMs: 1000, daysTold: 0 })
    expect((await announced(() => stop({}))).notices).toEqual(['recovery-stopped'])
    expect([await recovery(), (await profile()).recoveryCode, await reminder()]).toEqual([
      ...[undefined, undefined, undefined],
    ])
    expect(await announced(() => stop({}))).toEqual({ events: [], notices: [], audit: [] })
  })

  test('with the password or a code in an older session, and with neither not', async () => {
    const { stop, advance, set, recovery, appCode } = await open(BEGUN)
    advance(10 * MINUTE_MS + 1)
    await expect(stop({})).rejects.toMatchObject({
      ...{ code: 'reauthentication_required', detail: expect.stringContaining('in the body') },
    })
    expect(await codeOf(stop({ password: 'Wrong-horse1!' }))).toBe('wrong_password')
    expect(await recovery()).toBeDefined()
    await stop({ password: PASSWORD })
    expect(await recovery()).toBeUndefined()
    await set(BEGUN)
    expect(await codeOf(stop({ twofa: '123' }))).toBe('two_factor_invalid')
    expect(await recovery()).toBeDefined()
    const code = appCode()
    await stop({ twofa: code })
    expect(await recovery()).toBeUndefined()
    await set(BEGUN)
    // The code was used up, and not only looked at.
    expect(await codeOf(stop({ twofa: code }))).toBe('two_factor_invalid')
  })

  test('with a code only where the account has a second factor', async () => {
    const { stop } = await open({ ...BEGUN, totp: undefined })
    expect(await codeOf(stop({ twofa: '123456' }))).toBe('done')
    const older = await open({ ...BEGUN, totp: undefined })
    older.advance(10 * MINUTE_MS + 1)
    expect(await codeOf(older.stop({ twofa: '123456' }))).toBe('reauthentication_required')
  })

  test('without using up a code if there is none to stop', async () => {
    const { stop, appCode, set, recovery } = await open()
    const code = appCode()
    await stop({ twofa: code })
    await set(BEGUN)
    await stop({ twofa: code })
    expect(await recovery()).toBeUndefined()
  })
})

describe('an operator', () => {
  const INPUT = { reason: 'lost the phone' }

  test('switches the factors off after 72 hours in which the owner can stop it', async () => {
    const { ports, id, recovery, reminder, announced, nowMs, profile } = await open()
    const beganAtMs = nowMs()
    let told = await announced(async () => {
      expect(await resetFactors(ports, id, INPUT)).toEqual({
        ...{ state: 'waiting', by: 'operator', finishesAtMs: beganAtMs + 72 * HOUR_MS },
      })
    })
    expect(told).toMatchObject({ notices: ['recovery'], audit: ['operator.two_factor_reset_begun'] })
    expect(await recovery()).toEqual({ beganAtMs, by: 'operator' })
    expect(await reminder()).toMatchObject({ by: 'operator' })
    told = await announced(() => resetFactors(ports, id, INPUT))
    expect(told).toEqual({ events: [], notices: [], audit: [] })
    expect((await profile()).totp).toBeDefined()
  })

  test('switches them off at once with another proof, which the audit log keeps', async () => {
    const addressMove = { email: 'new@example.com', beganAtMs: 1000 }
    const { ports, id, profile, announced, items } = await open({ passkeys: {}, sessions: {}, addressMove })
    const told = await announced(async () => {
      expect(await resetFactors(ports, id, { ...INPUT, proof: 'passport' })).toEqual({ state: 'off' })
    })
    expect(told.notices).toEqual(['factors-off'])
    for (const name of ['totp', 'passkeys']) expect(await profile()).not.toHaveProperty(name)
    // It was begun for the same owner.
    expect((await profile()).addressMove).toEqual(addressMove)
    const [entry] = (await items('AUDIT#')).filter(({ action }) => action === 'operator.two_factor_reset')
    expect(entry).toMatchObject({ before: { twofa: true }, after: { twofa: false } })
    expect(String(entry?.reason)).toContain('passport')
    expect(await announced(() => resetFactors(ports, id, INPUT))).toMatchObject({ audit: [] })
  })

  test('leaves a recovery that the owner has begun to the owner', async () => {
    const { ports, id, nowMs } = await open()
    const world = await open({ recovery: { beganAtMs: nowMs() } })
    expect(await resetFactors(world.ports, world.id, INPUT)).toMatchObject({ state: 'waiting', by: 'owner' })
    expect(await resetFactors(ports, id, INPUT)).toMatchObject({ by: 'operator' })
  })

  test('needs a proof where mail does not arrive, and an account', async () => {
    const undeliverable = { 'ada@example.com': { reason: 'bounced', atMs: 1 } }
    const { ports, id, recovery } = await open({ undeliverable })
    await expect(resetFactors(ports, id, INPUT)).rejects.toMatchObject({
      ...{ code: 'conflict', detail: expect.stringContaining('this needs a proof') },
    })
    expect(await recovery()).toBeUndefined()
    expect(await codeOf(resetFactors(ports, id, { ...INPUT, proof: 'passport' }))).toBe('done')
    expect(await codeOf(resetFactors(ports, '0'.repeat(24), INPUT))).toBe('not_found')
  })

  test.each([
    [undefined, 'owner', 'recovery-stopped'],
    ['operator', 'operator', 'factors-kept'],
  ])('stops a recovery, whoever has begun it: %s', async (by, begunBy, notice) => {
    const { ports, id, announced, items, recovery } = await open({
      recovery: { beganAtMs: 1000, ...(by && { by }) },
    })
    const told = await announced(() => stopFactorsReset(ports, id, 'called us'))
    expect(told.notices).toEqual([notice])
    expect(await recovery()).toBeUndefined()
    const stopped = (await items('AUDIT#')).find(
      ({ action }) => action === 'operator.two_factor_reset_stopped',
    )
    expect(stopped).toMatchObject({ reason: 'called us', before: { begunBy } })
    expect(await announced(() => stopFactorsReset(ports, id, 'called us'))).toEqual({
      ...{ events: [], notices: [], audit: [] },
    })
  })
})

describe('the reminder of a recovery', () => {
  async function begun(by?: 'operator') {
    const world = await open()
    const { ports, id, mailed, begin, nowMs } = world
    const beganAtMs = nowMs()
    if (by) await resetFactors(ports, id, { reason: 'lost the phone' })
    else await begin(await mailed())
    return { ...world, beganAtMs }
  }

  test('tells the owner once a day, in the first look after the day', async () => {
    const { announce, announced, advance, reminder, beganAtMs, nowMs } = await begun()
    const look = async () => {
      let done = 0
      const { notices } = await announced(async () => {
        ;({ done } = await announce())
      })
      expect(done).toBe(notices?.length)
      return notices
    }
    expect(await announce()).toMatchObject({ done: 0, failed: 0 })
    for (let hour = 1; hour < 24; hour++) {
      advance(HOUR_MS)
      expect([hour, await look()]).toEqual([hour, []])
    }
    expect(await reminder()).toMatchObject({ daysTold: 0, dueAtMs: beganAtMs + DAY_MS })
    advance(HOUR_MS)
    expect(await look()).toEqual(['recovery'])
    expect(await reminder()).toMatchObject({ daysTold: 1, dueAtMs: nowMs() + HOUR_MS })
    expect(await look()).toEqual([])
    advance(30 * MINUTE_MS)
    expect(await look()).toEqual([])
  })

  test('says from 72 hours on that it can be finished, and its end after seven days', async () => {
    const { announce, announced, advance, items, recovery, reminder, profile } = await begun()
    const newest = async () => String((await items('NOTICE#')).at(-1)?.message)
    advance(72 * HOUR_MS - 1)
    await announce()
    const running = await newest()
    advance(1)
    await announce()
    expect(await newest()).not.toBe(running)
    advance(4 * DAY_MS - 1)
    expect((await announced(announce)).notices).toEqual(['recovery'])
    expect(await recovery()).toBeDefined()
    advance(1)
    expect((await announced(announce)).notices).toEqual(['recovery-stopped'])
    expect([await recovery(), await reminder(), (await profile()).recoveryCode]).toEqual([
      ...[undefined, undefined, undefined],
    ])
  })

  test('tells of one that something else has stopped, and ends', async () => {
    const { announce, announced, advance, set, reminder } = await begun()
    await set({ recovery: undefined })
    advance(HOUR_MS)
    let worked: object = {}
    const told = await announced(async () => {
      worked = await announce()
    })
    expect([worked, told.notices]).toEqual([{ done: 1, failed: 0 }, ['recovery-stopped']])
    expect(await reminder()).toBeUndefined()
  })

  test('tells nobody of an account that nobody has any more', async () => {
    const { announce, announced, advance, set, reminder } = await begun()
    await set({ recovery: undefined, status: 'erased' })
    advance(HOUR_MS)
    expect((await announced(announce)).notices).toEqual([])
    expect(await reminder()).toBeUndefined()
  })

  test('of an operator’s finishes it after 72 hours, and not a millisecond sooner', async () => {
    const { announce, announced, advance, profile, items, reminder, beganAtMs } = await begun('operator')
    advance(72 * HOUR_MS - 1)
    await announce()
    expect((await profile()).totp).toBeDefined()
    advance(1)
    expect((await announced(announce)).notices).toEqual(['factors-off'])
    expect([(await profile()).totp, await reminder()]).toEqual([undefined, undefined])
    expect((await profile()).recoveredFrom).toBe(beganAtMs)
    const entries = (await items('AUDIT#')).filter(({ action }) => action === 'operator.two_factor_reset')
    expect(entries).toMatchObject([{ before: { twofa: true }, after: { twofa: false } }])
  })

  test('is left alone by a run that another change has overtaken', async () => {
    const { ports, announce, advance, set, recovery } = await begun()
    advance(DAY_MS)
    const during = interleaved(ports, 'transact', 1, () => set({ recovery: undefined }))
    expect(await announceRecoveries(during, WHOLE_RUN)).toMatchObject({ done: 0, failed: 0 })
    expect(await recovery()).toBeUndefined()
    advance(HOUR_MS)
    expect(await announce()).toMatchObject({ done: 1 })
  })

  test('that cannot be told stays due', async () => {
    const { ports, advance, reminder } = await begun()
    advance(DAY_MS)
    const table = { ...ports.table, transact: () => Promise.reject(new Error('an outage')) }
    expect(await announceRecoveries({ ...ports, table }, WHOLE_RUN)).toMatchObject({ done: 0, failed: 1 })
    expect(await reminder()).toMatchObject({ daysTold: 0 })
  })
})
