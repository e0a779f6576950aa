import { beforeEach, describe, expect, test } from 'vitest'
import { readAccount } from '../../core/account/account.ts'
import type { LimitState } from '../../core/limits/limits.ts'
import { checkProof } from '../../functions/http/proof.ts'
import { PROOF_GUARDS } from '../../functions/http/route.ts'
import { limitSource, refusals } from '../../functions/http/source-limit.ts'
import { codeOf } from '../machine/account-world.ts'
import { startApp } from '../support/app.ts'

/* What guards a row before its handler runs, as `endpoint` calls it; `source-limits.deep.test.ts` sends requests. */

const app = await startApp()
const ports = await app.ports()

let hosts = 0
/** An address that no test has used. */
const address = () => `203.0.${113 + Math.floor(hosts / 250)}.${(hosts++ % 250) + 1}`

const most = async (what: 'mail' | 'password') =>
  (await limitSource({ guards: [what] }, {}, address()))[0]?.most ?? 0

describe('a network address', () => {
  beforeEach(() => refusals.clear())

  test('is counted under each guard of the row, in one write', async () => {
    app.resetCalls()
    const states = await limitSource({ guards: ['mail', 'signup', 'vault'] }, {}, address())
    expect(states.map(({ what }) => what)).toEqual(['mails-from', 'sign-ups-from', 'vault-from'])
    for (const { most, left, isFull } of states) expect([left, isFull]).toEqual([most - 1, false])
    expect(app.calls().dynamodb).toEqual({ UpdateItem: 1 })
  })

  test('has a limit of its own for each guard', async () => {
    const guards = ['password', 'code', 'card', 'mail', 'vault', 'signup'] as const
    const states = await limitSource({ guards }, {}, address())
    expect(states.map(({ what }) => what)).toEqual([
      ...['passwords-from', 'codes-from', 'cards-from', 'mails-from', 'vault-from', 'sign-ups-from'],
    ])
  })

  test('is not counted where nothing is guarded, nor for a proof that is not sent', async () => {
    app.resetCalls()
    expect(await limitSource({}, {}, address())).toEqual([])
    expect(await limitSource({ proof: 'recent' }, {}, address())).toEqual([])
    expect(app.calls().dynamodb).toEqual({})
  })

  test.each(['x-proof-password', 'x-proof-code'])(
    'is counted for a proof in %s, empty or not',
    async (header) => {
      for (const text of ['', 'x']) {
        const states = await limitSource({ proof: 'recent' }, { [header]: text }, address())
        expect(states).toHaveLength(PROOF_GUARDS.length)
      }
      const [both] = [
        await limitSource({ guards: ['code', 'mail'], proof: 'recent' }, { [header]: 'x' }, address()),
      ]
      expect(both.map(({ what }) => what)).toEqual([
        'codes-from',
        'mails-from',
        'passwords-from',
        'vault-from',
      ])
    },
  )

  test('that was refused is refused out of memory until the window ends, at no cost', async () => {
    const from = address()
    const full: LimitState[] = Array.from({ length: await most('mail') }, () => ({}) as LimitState)
    for (const _ of full) await limitSource({ guards: ['mail'] }, {}, from)
    const [refused] = await limitSource({ guards: ['mail'] }, {}, from)
    expect(refused).toMatchObject({ what: 'mails-from', left: 0, isFull: true })
    app.resetCalls()
    const later = await limitSource({ guards: ['mail', 'signup'] }, {}, from)
    expect([later, app.calls().dynamodb]).toEqual([[refused], {}])
    // Other guards and other addresses are asked for as before.
    expect(await limitSource({ guards: ['code'] }, {}, from)).toMatchObject([{ isFull: false }])
    expect(await limitSource({ guards: ['mail'] }, {}, address())).toMatchObject([{ isFull: false }])
    const waitMs = (refused?.endsMs ?? 0) - Date.now()
    app.advance(waitMs - 1)
    expect(await limitSource({ guards: ['mail'] }, {}, from)).toMatchObject([
      { isFull: true, resetSeconds: 1 },
    ])
    app.advance(1)
    expect(await limitSource({ guards: ['mail'] }, {}, from)).toMatchObject([{ isFull: false }])
  })

  test('is one of 1,000 that a container remembers as refused', async () => {
    const state = { what: 'mails-from', endsMs: Date.now() + 1000, isFull: true } as LimitState
    const from = address()
    const limit = await most('mail')
    for (let n = 0; n < limit; n++) await limitSource({ guards: ['mail'] }, {}, from)
    for (let n = 0; n < 999; n++) refusals.set(String(n), [state])
    await limitSource({ guards: ['mail'] }, {}, from)
    expect(refusals.size).toBe(1000)
    refusals.delete(from)
    refusals.set('another', [state])
    await limitSource({ guards: ['mail'] }, {}, from)
    expect([...refusals.keys()]).toEqual([from])
  })
})

describe('a proof in the headers of a request', () => {
  const PASSWORD = 'Pässwörd☂1'

  async function open() {
    const person = await app.signUp({ password: PASSWORD })
    const account = (await readAccount(ports, person.accountId)) ?? expect.unreachable()
    const [sessionId = ''] = Object.keys(account.sessions)
    return (headers: Record<string, string>) => codeOf(checkProof(ports, { account, sessionId }, headers))
  }

  test('is needed once the session is older than ten minutes', async () => {
    const prove = await open()
    expect(await prove({})).toBe('done')
    app.advance(10 * 60_000 + 1)
    expect(await prove({})).toBe('reauthentication_required')
    expect(await prove({ 'x-proof-password': '', 'x-proof-code': '' })).toBe('reauthentication_required')
    expect(await prove({ 'x-proof-password': 'Wrong-horse1!' })).toBe('wrong_password')
  })

  test('is read as UTF-8, as clients write it, or as it is', async () => {
    const prove = await open()
    app.advance(11 * 60_000)
    const sent = Buffer.from(PASSWORD, 'utf8').toString('latin1')
    expect(await prove({ 'x-proof-password': sent.slice(0, -1) })).toBe('wrong_password')
    expect(await prove({ 'x-proof-password': sent })).toBe('done')
    app.advance(11 * 60_000)
    expect(await prove({ 'x-proof-password': PASSWORD })).toBe('done')
    // What is no UTF-8 stays as it is, and is a wrong password.
    expect(await prove({ 'x-proof-password': '\xff\xfe' })).toBe('wrong_password')
  })

  test('that is too long for a code is cut or refused, and no other header is looked at', async () => {
    const prove = await open()
    expect(await prove({ 'x-proof-code': 'x'.repeat(500) })).toBe('invalid_request')
    expect(await prove({ 'x-other': 'x' })).toBe('done')
  })
})
