import { beforeEach, describe, expect, test, vi } from 'vitest'
import type { Keyring } from '../../core/ports.ts'
import { PURPOSES } from '../../core/purposes.ts'
import { keysTextOf } from '../../functions/deploy/root-secret.ts'
import { startApp } from '../support/app.ts'
import { buy, newBuyer } from '../support/buyers.ts'
import { appCode, withTwoFactor } from '../support/credentials.ts'
import { addedEndpoint, endpoints, HOOK_URL } from '../support/event-endpoints.ts'
import { createKey } from '../support/keys.ts'
import { answerOf, signInWith, withPasskey } from '../support/passkeys.ts'
import { newPerson, type SignedInPerson } from '../support/people.ts'
import { newService, spendAs } from '../support/services.ts'

/*
 * The root secret is rotated by three deployments: `old,new`, `new,old` and `new`. Here every function of the process
 * changes at once; `machine/root-secret.deep.test.ts` has functions of two deployments side by side.
 */

const [OLD, NEW] = ['a1'.repeat(32), 'b2'.repeat(32)]

/** The keyring of every function, and of the double of the vault. */
const world = vi.hoisted(() => ({
  deploy: (_secrets: string): void => {},
  keyring: undefined as Keyring | undefined,
}))
vi.mock(import('../../core/adapters/keyring.ts'), async (load) => {
  const { openKeyring } = await load()
  world.deploy = (secrets) => {
    world.keyring = openKeyring(keysTextOf(secrets, PURPOSES))
  }
  return {
    openKeyring: () => new Proxy({} as Keyring, { get: (_, name) => Reflect.get(world.keyring ?? {}, name) }),
  }
})

const deploy = (...secrets: string[]): void => world.deploy(secrets.join())

const app = await startApp()
beforeEach(async () => {
  deploy(OLD)
  await app.startAfresh()
})

/** The deployments of a rotation, in their order. */
const ROTATION = [[OLD, NEW], [NEW, OLD], [NEW]] as const
const MINUTE_MS = 60_000

const consume = (key: string, requestId?: string) =>
  app.request('POST', '/v1/usage', { headers: { 'x-api-key': key }, json: { units: 1, requestId } })
const user = (token: string) => app.request('GET', '/v1/user', { token })
const login = (person: SignedInPerson, twofa?: string) =>
  app.request('POST', '/v1/auth/login', { json: { email: person.email, password: person.password, twofa } })

async function resealed(): Promise<Record<string, unknown>> {
  await app.job('reseal')
  app.advance(21 * MINUTE_MS)
  return app.job('reseal')
}

describe('while the root secret rotates', () => {
  test('keys, services and admin keys work after each deployment, also those that were made on the way', async () => {
    const person = await newBuyer(app)
    const texts = [person.key, (await createKey(app, person)).key]
    const services = [await newService(app)]
    for (const secrets of ROTATION) {
      deploy(...secrets)
      texts.push((await createKey(app, person)).key)
      services.push(await newService(app))
      for (const key of texts) expect((await consume(key)).status).toBe(200)
      for (const service of services)
        expect((await spendAs(app, service, { account: person.accountId })).status).toBe(200)
    }
  })

  test('a request that is repeated after the next deployment spends once', async () => {
    const { key } = await newBuyer(app)
    let used = (await consume(key)).body.used
    for (const [at, secrets] of ROTATION.entries()) {
      const id = `order-${at}`
      expect((await consume(key, id)).body.used).toBe(++used)
      deploy(...secrets)
      expect((await consume(key, id)).body).toMatchObject({ used, replayed: true })
    }
  })

  test('the owner reads the default key at any time, because a sign-in or the job has sealed it again', async () => {
    const [signsIn, waits] = [await newBuyer(app), await newBuyer(app)]
    for (const secrets of ROTATION) {
      deploy(...secrets)
      const { body } = await login(signsIn)
      expect((await user(body.accessToken)).body.apiKey).toBe(signsIn.key)
      if (secrets.length > 1) await resealed()
    }
    const { body } = await login(waits)
    expect((await user(body.accessToken)).body.apiKey).toBe(waits.key)
  })

  test('mailed codes, two-factor codes, recovery codes and passkeys work after each deployment', async () => {
    const person = await withTwoFactor(app, await app.signUp())
    const holder = await withPasskey(app, await app.signUp())
    for (const [at, secrets] of ROTATION.entries()) {
      const newcomer = newPerson()
      await app.register(newcomer)
      const passkey = await answerOf(app, holder)
      deploy(...secrets)
      const code = app.mailedCode(newcomer.email)
      expect((await app.request('POST', '/v1/auth/activate', { json: { code } })).status).toBe(200)
      expect((await signInWith(app, passkey)).status).toBe(200)
      expect((await login(person, person.recoveryCodes[at])).status).toBe(200)
      app.advance(MINUTE_MS)
      expect((await login(person, appCode(person.seed))).status).toBe(200)
    }
  })

  test('a mailbox has one trial, under whichever secret it had it', async () => {
    const confirm = async (email: string) => {
      const person = newPerson({ email })
      await app.register(person)
      await app.request('POST', '/v1/auth/activate', { json: { code: app.mailedCode(email) } })
      const { body } = await app.request('POST', '/v1/auth/login', {
        json: { email, password: person.password },
      })
      return (await user(body.accessToken)).body.usage.left
    }
    expect(await confirm('trial@rotation.example')).toBe(100)
    for (const [at, secrets] of ROTATION.entries()) {
      deploy(...secrets)
      expect(await confirm(`trial+${at}@rotation.example`)).toBe(0)
      if (secrets.length > 1) await resealed()
    }
  })

  test('a session is ended by the id that its owner was shown before', async () => {
    const person = await app.signUp()
    const other = await app.login(person)
    const { body } = await app.request('GET', '/v1/auth/sessions', { token: person.accessToken })
    const { id } = body.find((each: { current: boolean }) => !each.current)
    deploy(OLD, NEW)
    deploy(NEW, OLD)
    const ended = await app.request('DELETE', `/v1/auth/sessions/${id}`, { token: person.accessToken })
    expect(ended.status).toBe(204)
    expect((await user(other.accessToken)).status).toBe(401)
  })
})

describe('when the root secret is lost', () => {
  const lose = () => deploy(NEW)

  test('every key works on, although nobody can read it, and its owner can have a new one', async () => {
    const person = await newBuyer(app)
    const further = await createKey(app, person)
    const service = await newService(app)
    lose()
    for (const key of [person.key, further.key]) expect((await consume(key)).status).toBe(200)
    expect((await spendAs(app, service, { account: person.accountId })).status).toBe(200)
    const { body } = await login(person)
    const { apiKey } = (await user(body.accessToken)).body
    expect(apiKey).toBe('...')
    const rotated = await app.request('POST', '/v1/keys/default/rotate', {
      token: body.accessToken,
      json: { graceSeconds: 3600 },
    })
    expect(rotated.status).toBe(200)
    for (const key of [person.key, rotated.body.key]) expect((await consume(key)).status).toBe(200)
    expect((await user(body.accessToken)).body.apiKey).toBe(rotated.body.key)
    await buy(app, person, 'STARTER')
  })

  test('a made-up key of the lost version is refused, at the price of one read', async () => {
    const { key } = await createKey(app, await newBuyer(app))
    lose()
    app.resetCalls()
    expect((await consume(key.replace(/_[0-9a-f]{64}_/, `_${'0'.repeat(64)}_`))).status).toBe(401)
    const { dynamodb, writeUnits } = app.calls()
    expect([dynamodb, writeUnits]).toEqual([{ GetItem: 1 }, 0])
  })

  test('password, second factor and recovery codes work on', async () => {
    const person = await withTwoFactor(app, await app.signUp())
    lose()
    expect((await login(person, person.recoveryCodes[0])).status).toBe(200)
    app.advance(MINUTE_MS)
    expect((await login(person, appCode(person.seed))).status).toBe(200)
  })

  test('a code that was mailed before is refused, and a new one works', async () => {
    const person = newPerson()
    await app.register(person)
    const before = app.mailedCode(person.email)
    lose()
    expect((await app.request('POST', '/v1/auth/activate', { json: { code: before } })).status).toBe(400)
    await app.request('POST', '/v1/auth/resend', { json: { email: person.email } })
    await app.job('send-mail')
    const code = app.mailedCode(person.email)
    expect((await app.request('POST', '/v1/auth/activate', { json: { code } })).status).toBe(200)
  })

  test('a request whose secret answer cannot be read any more is not carried out again', async () => {
    const person = await newBuyer(app)
    const create = () =>
      app.request('POST', '/v1/keys', {
        token: person.accessToken,
        json: { name: 'once' },
        headers: { 'idempotency-key': 'the-same' },
      })
    expect((await create()).status).toBe(201)
    lose()
    const { status, body } = await create()
    expect([status, body.type]).toEqual([422, 'urn:bursar:problem:idempotency_key_reused'])
    expect(body.detail).toContain('has taken effect')
  })

  test('an endpoint for events gets nothing unsigned, and everything again with a new secret', async () => {
    const { id } = await addedEndpoint(app, { url: HOOK_URL })
    await app.signUp()
    await app.job('publish-events')
    lose()
    await app.job('deliver-events')
    const state = async () =>
      (await app.request('GET', `/ops/read/endpoints/${id}/deliveries`, { operator: 'read' })).body
    expect((await state())[0]).toMatchObject({ state: 'waiting', result: 'no secret' })
    expect((await endpoints(app, 'POST', `/${id}/rotate`)).status).toBe(201)
  })
})
