import { TOTP } from 'otpauth'
import { describe, expect, test } from 'vitest'
import { codeText, newCode } from '../../core/credentials/codes.ts'
import { signInByKey } from '../../core/credentials/key-sign-in.ts'
import { proveByPasskey, signInByPasskey } from '../../core/credentials/passkey-sign-in.ts'
import {
  addPasskey,
  assertionOptions,
  attestationOptions,
  removePasskey,
  renamePasskey,
} from '../../core/credentials/passkeys.ts'
import { changePassword } from '../../core/credentials/password.ts'
import { proveSession } from '../../core/credentials/proof.ts'
import { beginRecovery, stopRecovery, stopRecoveryByLink } from '../../core/credentials/recovery.ts'
import { finishRecovery, resetPassword } from '../../core/credentials/reset.ts'
import { resetFactors, stopFactorsReset } from '../../core/credentials/reset-factors.ts'
import { endListedSession, listSessions } from '../../core/credentials/session-list.ts'
import {
  refreshSession,
  restoreAccount,
  signIn,
  signOut,
  signOutAccount,
} from '../../core/credentials/sessions.ts'
import { activateTwoFactor, enrolTwoFactor, removeTwoFactor } from '../../core/credentials/two-factor.ts'
import { unlockAccount } from '../../core/credentials/unlock.ts'
import { DomainError } from '../../core/errors.ts'
import { createKey, deleteKey, rotateKey } from '../../core/keys/application-keys.ts'
import { changeKeySettings } from '../../core/keys/change-settings.ts'
import { addService, revokeService } from '../../core/keys/services.ts'
import { recoveryLinkCode } from '../../core/notifications/recovery-link.ts'
import type { Ports } from '../../core/ports.ts'
import { ConditionFailed, type Write } from '../../core/table/table.ts'
import { EMAIL, ORIGIN, openAccountWorld, PASSWORD, SESSION } from '../machine/account-world.ts'
import { newAuthenticator } from '../support/authenticator.ts'

/*
 * What outages and lost races do to sign-ins, credentials and keys.
 *
 * An outage of the table is no lost race and no refusal: wherever it comes, the request fails with it, so that nobody takes
 * a change for made, or for impossible, of which nothing is known.
 */

const SEED = 'JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP'
const HOUR_MS = 3_600_000

async function open() {
  const world = await openAccountWorld({ holderEmail: EMAIL })
  const { id, ports, account, nowMs, set } = world
  const device = newAuthenticator({ origin: ORIGIN })
  const attest = async () => device.create(attestationOptions(ports, await account())) as never
  return {
    ...world,
    attest,
    assert: () => device.get(assertionOptions(ports)) as never,
    addPasskey: async () =>
      addPasskey(ports, await world.caller(), { name: 'phone', answer: await attest() }),
    appCode: (seed = SEED) => new TOTP({ secret: seed }).generate({ timestamp: nowMs() }),
    withFactor: () => set({ totp: { seed: JSON.stringify([id, SEED]), lastStep: 0, recovery: {} } }),
    async mailed(purpose: 'reset-password' | 'begin-recovery' | 'finish-recovery') {
      const { lookup, item } = newCode(ports, purpose, id)
      await ports.table.put(item)
      await set({ [purpose === 'reset-password' ? 'resetCode' : 'recoveryCode']: lookup })
      return codeText(ports, purpose, id, lookup)
    },
  }
}

type World = Awaited<ReturnType<typeof open>>

/** Makes everything ready, and returns the request. */
type Flow = (world: World) => Promise<(ports: Ports) => Promise<unknown>>

const FLOWS: Record<string, Flow> = {
  'making a key': async ({ caller }) => {
    const asked = await caller()
    return (ports) => createKey(ports, asked, { name: 'mine' }, 'k')
  },
  'rotating a key': async ({ caller }) => {
    const asked = await caller()
    return (ports) => rotateKey(ports, asked, 'default', { graceSeconds: 60 })
  },
  'changing a key': async ({ caller }) => {
    const asked = await caller()
    return (ports) => changeKeySettings(ports, asked, 'default', { budget: { units: 5, per: 'day' } })
  },
  'deleting a key': async ({ caller, ports }) => {
    const { id } = await createKey(ports, await caller(), { name: 'mine' })
    const asked = await caller()
    return (through) => deleteKey(through, asked, id)
  },
  'adding a service': async () => (ports) => addService(ports, 'gateway'),
  'revoking a service': async ({ ports }) => {
    await addService(ports, 'gateway')
    return (through) => revokeService(through, 'gateway')
  },
  'signing in': async () => (ports) => signIn(ports, { email: EMAIL, password: PASSWORD }),
  'signing in with a wrong password': async () => (ports) => signIn(ports, { email: EMAIL, password: 'x' }),
  'signing in with a code': async ({ withFactor, appCode }) => {
    await withFactor()
    return (ports) => signIn(ports, { email: EMAIL, password: PASSWORD, twofa: appCode() })
  },
  'signing in with a wrong code': async ({ withFactor }) => {
    await withFactor()
    return (ports) => signIn(ports, { email: EMAIL, password: PASSWORD, twofa: 'wrong' })
  },
  'signing in to a deleted account': async ({ set }) => {
    await set({ status: 'deactivated', eraseAtMs: 1e13 })
    return (ports) => signIn(ports, { email: EMAIL, password: PASSWORD })
  },
  'restoring an account': async ({ set }) => {
    await set({ status: 'deactivated' })
    return (ports) => restoreAccount(ports, { email: EMAIL, password: PASSWORD })
  },
  'signing in by passkey': async ({ addPasskey, assert }) => {
    await addPasskey()
    return (ports) => signInByPasskey(ports, assert())
  },
  'signing in by key': async ({ ports, caller }) => {
    const { key } = await createKey(ports, await caller(), { name: 'mine' })
    return (through) => signInByKey(through, { text: key, ip: '192.0.2.1' })
  },
  'refreshing a session': async ({ id, advance }) => {
    advance(HOUR_MS)
    const tokens = {
      accountId: id,
      sessionId: SESSION,
      accessToken: 'a',
      refreshToken: 'r',
      expiresInSeconds: 900,
    }
    return (ports) =>
      refreshSession({ ...ports, identity: { ...ports.identity, refresh: async () => tokens } }, 'r')
  },
  'signing out': async ({ id, nowMs }) => {
    const claims = { accountId: id, sessionId: SESSION, expiresAtSec: nowMs() / 1000 + 900 }
    const asked = { refreshToken: undefined, readClaims: async () => claims, everywhere: false }
    return (ports) => signOut(ports, asked)
  },
  'signing out everywhere': async ({ id, nowMs }) => {
    const claims = { accountId: id, sessionId: SESSION, expiresAtSec: nowMs() / 1000 + 900 }
    const asked = { refreshToken: undefined, readClaims: async () => claims, everywhere: true }
    return (ports) => signOut(ports, asked)
  },
  'signing an account out':
    async ({ id }) =>
    (ports) =>
      signOutAccount(ports, id, 'stolen'),
  'ending another session': async ({ set, caller, ports, nowMs }) => {
    const session = { sinceMs: nowMs(), provedMs: nowMs() }
    await set({ sessions: { [SESSION]: session, other: session } })
    const asked = await caller()
    const other = listSessions(ports, asked).find(({ isCurrent }) => !isCurrent)
    return (through) => endListedSession(through, asked, other?.id ?? '')
  },
  'proving a session by password': async ({ caller }) => {
    const asked = await caller()
    return (ports) => proveSession(ports, asked, { password: PASSWORD })
  },
  'proving a session by code': async ({ caller, withFactor, appCode }) => {
    await withFactor()
    const asked = await caller()
    return (ports) => proveSession(ports, asked, { twofa: appCode() })
  },
  'proving a session by passkey': async ({ caller, addPasskey, assert }) => {
    await addPasskey()
    const asked = await caller()
    return (ports) => proveByPasskey(ports, asked, assert())
  },
  'changing the password': async ({ caller }) => {
    const asked = await caller()
    return (ports) => changePassword(ports, asked, { newPassword: 'New-horse1!', oldPassword: PASSWORD })
  },
  'changing the password and every key': async ({ caller }) => {
    const asked = await caller()
    return (ports) => changePassword(ports, asked, { newPassword: 'New-horse1!', replaceKeys: true })
  },
  'resetting the password': async ({ mailed }) => {
    const code = await mailed('reset-password')
    return (ports) => resetPassword(ports, { code, password: 'New-horse1!' })
  },
  'typing a wrong code': async ({ mailed }) => {
    const code = await mailed('reset-password')
    return (ports) => resetPassword(ports, { code: `${code.slice(0, 16)}${'0'.repeat(16)}`, password: 'x' })
  },
  'beginning a recovery': async ({ mailed, withFactor }) => {
    await withFactor()
    const code = await mailed('begin-recovery')
    return (ports) => beginRecovery(ports, code)
  },
  'finishing a recovery': async ({ mailed, withFactor, set, nowMs, advance }) => {
    await withFactor()
    await set({ recovery: { beganAtMs: nowMs() } })
    advance(72 * HOUR_MS)
    const code = await mailed('finish-recovery')
    return (ports) => finishRecovery(ports, { code, password: 'New-horse1!' })
  },
  'stopping a recovery': async ({ caller, set, nowMs }) => {
    await set({ recovery: { beganAtMs: nowMs() } })
    const asked = await caller()
    return (ports) => stopRecovery(ports, asked, {})
  },
  'stopping a recovery by link': async ({ id, set, nowMs, ports }) => {
    await set({ recovery: { beganAtMs: nowMs() } })
    const link = recoveryLinkCode(ports, { accountId: id, beganAtMs: nowMs() })
    return (through) => stopRecoveryByLink(through, link)
  },
  'resetting the factors': async ({ id, withFactor }) => {
    await withFactor()
    return (ports) => resetFactors(ports, id, { reason: 'lost' })
  },
  'resetting the factors at once': async ({ id, withFactor }) => {
    await withFactor()
    return (ports) => resetFactors(ports, id, { reason: 'lost', proof: 'passport' })
  },
  'stopping a reset of the factors': async ({ id, set, nowMs }) => {
    await set({ recovery: { beganAtMs: nowMs(), by: 'operator' } })
    return (ports) => stopFactorsReset(ports, id, 'called us')
  },
  'enrolling a second factor': async ({ caller }) => {
    const asked = await caller()
    return (ports) => enrolTwoFactor(ports, asked)
  },
  'switching two factors on': async ({ caller, ports, appCode }) => {
    const { seed } = await enrolTwoFactor(ports, await caller())
    const asked = await caller()
    return (through) => activateTwoFactor(through, asked, appCode(seed))
  },
  'switching two factors off': async ({ caller, withFactor, appCode }) => {
    await withFactor()
    const asked = await caller()
    return (ports) => removeTwoFactor(ports, asked, appCode())
  },
  'adding a passkey': async ({ caller, attest }) => {
    const [asked, answer] = [await caller(), await attest()]
    return (ports) => addPasskey(ports, asked, { name: 'phone', answer })
  },
  'renaming a passkey': async ({ caller, addPasskey }) => {
    const { id } = await addPasskey()
    const asked = await caller()
    return (ports) => renamePasskey(ports, asked, id, 'new')
  },
  'removing a passkey': async ({ caller, addPasskey }) => {
    const { id } = await addPasskey()
    const asked = await caller()
    return (ports) => removePasskey(ports, asked, id)
  },
  'unlocking an account':
    async ({ id }) =>
    (ports) =>
      unlockAccount(ports, id, 'called us'),
}

/** What a call of the table fails with; undefined for one that cannot fail so. */
type Fault = (method: string, args: unknown[]) => Error | undefined

/** The same ports, whose table fails in one call: that of this number among those that can fail so. */
function failingAt(ports: Ports, nth: number, faultOf: Fault) {
  let calls = 0
  const table = new Proxy(ports.table, {
    get: (object, name, receiver) => {
      const call = Reflect.get(object, name, receiver)
      return (...args: unknown[]) => {
        const fault = faultOf(String(name), args)
        if (fault) calls += 1
        return fault && calls === nth ? Promise.reject(fault) : call.apply(object, args)
      }
    },
  })
  return { ports: { ...ports, table }, calls: () => calls }
}

/** The error of a write whose first condition does not hold: somebody has changed the item, and changed it back. */
const lostRace: Fault = (method, args) => {
  const [first, second, third] = args
  const single = { put: { put: first, if: second }, update: { if: third }, remove: { if: second } }[method]
  const writes = (method === 'transact' ? first : single ? [single] : []) as Write[]
  // An entry of the audit log or an event has an id of its own, which nobody else takes.
  const isNew = (write: Write) => 'put' in write && /^(AUDIT|OUTEVENT)#/.test(String(write.put.sk))
  const at = writes.findIndex((write) => write.if && !isNew(write))
  return at < 0 ? undefined : new ConditionFailed(new Map([[at, undefined]]))
}

describe('an outage of the table', () => {
  test.each(Object.entries(FLOWS))('in any call of %s is what the request fails with', async (_, flow) => {
    for (let nth = 1; ; nth++) {
      const world = await open()
      const request = await flow(world)
      const outage = new Error('an outage')
      const { ports, calls } = failingAt(world.ports, nth, () => outage)
      const failure = await request(ports).then(
        () => 'done',
        (error: unknown) => error,
      )
      if (calls() < nth) {
        expect(nth).toBeGreaterThan(1)
        return
      }
      expect([nth, failure]).toEqual([nth, outage])
    }
  })
})

describe('a lost race', () => {
  test.each(Object.entries(FLOWS))(
    'in any write of %s is tried again or refused, and no fault of ours',
    async (_, flow) => {
      for (let nth = 1; ; nth++) {
        const world = await open()
        const request = await flow(world)
        const { ports, calls } = failingAt(world.ports, nth, lostRace)
        const failure = await request(ports).then(
          () => 'done',
          (error: unknown) => error,
        )
        if (calls() < nth) return
        if (failure !== 'done') expect([nth, failure]).toEqual([nth, expect.any(DomainError)])
      }
    },
  )
})
