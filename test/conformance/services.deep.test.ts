import { beforeEach, describe, expect, test } from 'vitest'
import type { ErrorCode } from '../../core/errors.ts'
import { REMEMBERED_MS } from '../../core/keys/credential-cache.ts'
import { newCredential } from '../../core/keys/credential-text.ts'
import { SERVICE_TEXT } from '../../core/keys/service-text.ts'
import type { Placed } from '../../functions/http/route.ts'
import { rows } from '../../functions/http/rows.ts'
import { startApp } from '../support/app.ts'
import { createKey } from '../support/keys.ts'
import type { SignedInPerson } from '../support/people.ts'
import { consume, newConsumer, setUnits, uuidv7 } from '../support/quota.ts'
import { reserve, unitsOf } from '../support/reservations.ts'
import { rowKey, sampleOf } from '../support/samples.ts'
import type { TestAnswer } from '../support/send.ts'
import { asService, batchAs, newService, revoke, spendAs, type TestService } from '../support/services.ts'
import { expectContract, expectError, outsideCalls, targetOf } from './contract.ts'

const app = await startApp()
const service = await newService(app)
beforeEach(() => {
  app.stack.dynamo.clearFaults()
})

const metering = rows.filter(({ auth }) => auth === 'key')
const consumeRow = metering.find(({ name }) => name === 'consume') as Placed

/** Sends a row's sample with these headers instead of its usual ones. */
async function sendSample(row: Placed, person: SignedInPerson, headers: Record<string, string>) {
  const { path, body } = await sampleOf(app, row, person)
  const [method, target] = targetOf(row.routes[0], path)
  app.resetCalls()
  return app.request(method, target, { headers, ...(body && { json: body }) })
}

/** Whose units an answer of a metering row is about. */
const spenderOf = ({ body }: TestAnswer) => {
  const { account, key } = body.answers?.[0] ?? body
  return { account, key }
}

const eachRow = metering.map((row) => [rowKey(row), row] as const)

describe.each(eachRow)('%s', (_, row) => {
  test('takes a service that names its customer by key or by account', async () => {
    const person = await newConsumer(app)
    const byKey = await sendSample(row, person, asService(service, { key: person.key, ip: '192.0.2.1' }))
    expectContract(row, byKey)
    expect(spenderOf(byKey)).toEqual({
      account: person.accountId,
      key: expect.objectContaining({ id: 'default' }),
    })
    const other = await newConsumer(app)
    const byAccount = await sendSample(row, other, asService(service, { account: other.accountId }))
    expectContract(row, byAccount)
    expect(spenderOf(byAccount)).toEqual({
      account: other.accountId,
      key: expect.objectContaining({ id: 'service', name: 'service' }),
    })
    expect([byKey.status, byAccount.status]).toEqual(
      [200, 200].map(() => Number(Object.keys(row.responses)[0])),
    )
  })

  test('refuses a credential that Bursar has not made, without a call', async () => {
    const person = await newConsumer(app)
    const { credential } = service
    const swapped = credential.replace(/^bss_(.)/, (_, digit) => `bss_${digit === '0' ? '1' : '0'}`)
    for (const forged of [
      swapped,
      `${credential.slice(0, -1)}${credential.endsWith('0') ? '1' : '0'}`,
      credential.slice(0, -1),
      `${credential}0`,
      credential.toUpperCase().replace('BSS', 'bss'),
      `bss_${'0'.repeat(64)}_${credential.slice(-16, -12)}${'0'.repeat(12)}`,
      `bss_${'0'.repeat(64)}_`,
      'bss_',
      `bss_${person.key}`,
    ]) {
      const answer = await sendSample(
        row,
        person,
        asService({ ...service, credential: forged }, { key: person.key }),
      )
      expectError(row, answer, 'service_refused')
      // The samples of two rows make a reservation first, and nothing is counted before the request.
      expect(outsideCalls(app)).toEqual({})
    }
  })

  test('believes nothing of what a customer says about a customer, and reads only the key', async () => {
    const [person, other] = [await newConsumer(app), await newConsumer(app)]
    for (const named of [
      { key: other.key },
      { key: person.key },
      { account: other.accountId },
      { account: person.accountId },
      { account: '' },
      { ip: '192.0.2.1' },
    ]) {
      const headers = asService({ name: '', credential: person.key }, named)
      const answer = await sendSample(row, person, headers)
      expectError(row, answer, 'invalid_request')
      expect(answer.body.errors).toEqual([
        {
          field: `x-bursar-${Object.keys(named)[0]}`,
          message: 'is for the credential of a service; an application key names its own account',
        },
      ])
      expect(Object.keys(outsideCalls(app))).toEqual(['GetItem'])
    }
    expect((await unitsOf(app, other.key)).slice(0, 2)).toEqual([100, 0])
  })

  test('refuses a customer whose key or account does not work, and says that the service is not to blame', async () => {
    const person = await newConsumer(app)
    const deleted = await createKey(app, person)
    await app.request('DELETE', `/v1/keys/${deleted.id}`, { token: person.accessToken })
    const closed = await newConsumer(app)
    await app.request('PUT', '/api/users/current/deactivate', { token: closed.accessToken })
    const cases: [Parameters<typeof asService>[1], ErrorCode][] = [
      [{ key: 'garbage' }, 'unauthorized'],
      [{ key: '' }, 'unauthorized'],
      [{ key: service.credential }, 'unauthorized'],
      [{ key: person.accessToken }, 'unauthorized'],
      [{ key: deleted.key }, 'unauthorized'],
      [{ key: '00000000-0000-4000-8000-000000000000' }, 'unauthorized'],
      [{ account: 'f'.repeat(24) }, 'not_found'],
      [{ account: '#PROFILE' }, 'not_found'],
      [{ account: `${person.accountId}, ${person.accountId}` }, 'not_found'],
      [{ account: '' }, 'not_found'],
      [{ account: closed.accountId }, 'account_deactivated'],
      [{ key: closed.key }, 'account_deactivated'],
    ]
    for (const [named, code] of cases) {
      const answer = await sendSample(row, person, asService(service, named))
      if (code === 'not_found' && named?.account?.length !== 24) expect(outsideCalls(app)).toEqual({})
      if (row.customers !== 'each') expectError(row, answer, code)
      else for (const each of answer.body.answers) expect(each.type).toBe(`urn:bursar:problem:${code}`)
    }
  })
})

describe('a route for access tokens', () => {
  const others = rows.filter(({ auth }) => auth === 'account')
  test.each(others.map((row) => [rowKey(row), row] as const))('%s refuses the credential', async (_, row) => {
    const person = await app.signUp()
    const { path, body } = await sampleOf(app, row, person)
    const [method, target] = targetOf(row.routes[0], path)
    for (const headers of [
      asService(service, { account: person.accountId }),
      { 'x-api-key': service.credential, 'x-bursar-account': person.accountId },
    ]) {
      app.resetCalls()
      const { status } = await app.request(method, target, { headers, ...(body && { json: body }) })
      expect([[401, 403].includes(status), outsideCalls(app)]).toEqual([true, {}])
    }
  })
})

test('a service has to name one customer, at a network address', async () => {
  const { key, accountId: account } = await newConsumer(app)
  const nobody =
    "is required from a service: the customer's key here, or their account id as x-bursar-account"
  for (const [named, errors] of [
    [{}, [{ field: 'x-bursar-key', message: nobody }]],
    [{ ip: '192.0.2.1' }, [{ field: 'x-bursar-key', message: nobody }]],
    [
      { key, account },
      [{ field: 'x-bursar-account', message: 'cannot come with x-bursar-key: name the customer once' }],
    ],
    ...['', '192.0.2', '192.0.2.1/24', 'localhost', '192.0.2.1, 192.0.2.2'].map((ip) => [
      { key, ip },
      [{ field: 'x-bursar-ip', message: 'must be an IPv4 or IPv6 address' }],
    ]),
  ] as const) {
    const answer = await spendAs(app, service, named as object)
    expectError(consumeRow, answer, 'invalid_request')
    expect(answer.body.errors).toEqual(errors)
  }
  expect((await spendAs(app, service, { key, ip: '2001:db8::1' })).status).toBe(200)
})

test('an Authorization header and an x-api-key that differ are refused, whichever is a service', async () => {
  const { key, accountId } = await newConsumer(app)
  for (const [bearer, plain] of [
    [service.credential, key],
    [key, service.credential],
  ]) {
    const headers = {
      authorization: `Bearer ${bearer}`,
      'x-api-key': String(plain),
      'x-bursar-account': accountId,
    }
    const answer = await app.request('POST', '/v1/usage', { headers, json: { units: 1 } })
    expectError(consumeRow, answer, 'unauthorized')
  }
  const headers = { 'x-api-key': service.credential, 'x-bursar-account': accountId }
  expect((await app.request('POST', '/v1/usage', { headers, json: { units: 1 } })).status).toBe(200)
})

describe('a revoked credential', () => {
  const spend = async (by: TestService, key: string) => (await spendAs(app, by, { key })).status

  test('is refused after 30 seconds in a container that has seen it live, and at once in all others', async () => {
    const [seen, unseen] = [await newService(app), await newService(app)]
    const { key } = await newConsumer(app)
    expect(await spend(seen, key)).toBe(200)
    await Promise.all([revoke(app, seen), revoke(app, unseen)])
    expectError(consumeRow, await spendAs(app, unseen, { key }), 'service_refused')
    app.advance(REMEMBERED_MS - 1)
    expect(await spend(seen, key)).toBe(200)
    app.advance(1)
    expectError(consumeRow, await spendAs(app, seen, { key }), 'service_refused')
    expect((await unitsOf(app, key)).slice(0, 2)).toEqual([98, 2])
  })

  test('is not believed for longer because the clock is set back', async () => {
    const one = await newService(app)
    const { key } = await newConsumer(app)
    expect(await spend(one, key)).toBe(200)
    await revoke(app, one)
    app.advance(-1)
    expect(await spend(one, key)).toBe(401)
  })

  test('says nothing about whether the credential was ever made', async () => {
    const { key } = await newConsumer(app)
    const gone = await newService(app)
    await revoke(app, gone)
    const never = { name: '', credential: newCredential(await app.ports(), SERVICE_TEXT) }
    const texts = []
    for (const each of [gone, never]) {
      const { text, headers } = await spendAs(app, each, { key })
      texts.push(text.replaceAll(headers.get('apigw-requestid') ?? '', ''))
    }
    expect(texts[0]).toBe(texts[1])
  })
})

test('a container reads a credential once in 30 seconds, however many requests bring it', async () => {
  const one = await newService(app)
  const { accountId: account } = await newConsumer(app)
  const spendMany = () =>
    Promise.all(Array.from({ length: 5 }, () => spendAs(app, one, { account }, { units: 0 })))
  app.resetCalls()
  await spendMany()
  await spendMany()
  // A check reads the counter.
  expect(app.calls().dynamodb).toEqual({ GetItem: 1 + 10 })
  app.advance(REMEMBERED_MS)
  await spendMany()
  expect(app.calls().dynamodb).toEqual({ GetItem: 2 + 15 })
})

test('a credential that cannot be read answers 503, and the next request reads it again', async () => {
  const one = await newService(app)
  const { key } = await newConsumer(app)
  await consume(app, key, { units: 0 })
  app.stack.dynamo.addFault({ fault: 'error-before', match: 'GetItem' })
  expectError(consumeRow, await spendAs(app, one, { key }), 'temporarily_unavailable')
  app.stack.dynamo.clearFaults()
  expect((await spendAs(app, one, { key })).status).toBe(200)
  expect((await unitsOf(app, key)).slice(0, 2)).toEqual([99, 1])
})

describe('use without a key', () => {
  test('is exact, once per id whoever repeats it, and listed under the id "service"', async () => {
    const person = await newConsumer(app, 10)
    const { accountId: account } = person
    const json = { units: 3, requestId: uuidv7() }
    const first = await spendAs(app, service, { account }, json)
    expect([first.status, first.body]).toEqual([
      200,
      { left: 7, used: 3, account, key: { id: 'service', name: 'service', scopes: [] } },
    ])
    for (const repeat of [
      await spendAs(app, service, { account }, json),
      await spendAs(app, service, { key: person.key }, json),
      await consume(app, person.key, json),
    ])
      expect(repeat.body).toMatchObject({ left: 7, used: 3, replayed: true })
    await consume(app, person.key, { units: 2 })
    const refused = await spendAs(app, service, { account }, { units: 6 })
    expectContract(consumeRow, refused)
    expect([refused.status, refused.body.left, refused.body.key.id]).toEqual([402, 5, 'service'])
    const { body } = await app.request('GET', '/v1/usage', { token: person.accessToken })
    expect(body.days[0].keys).toEqual([
      { id: 'default', units: 2 },
      { id: 'service', units: 3 },
    ])
  })

  test('at the same time as use by key never takes more than there is, nor less', async () => {
    const { key, accountId: account } = await newConsumer(app, 10)
    const all = Array.from({ length: 24 }, (_, n) =>
      n % 3 === 0
        ? consume(app, key, { units: 1 })
        : spendAs(app, service, n % 3 === 1 ? { key } : { account }, { units: 1, requestId: uuidv7() }),
    )
    const statuses = (await Promise.all(all)).map(({ status }) => status)
    expect(statuses.filter((status) => status === 200)).toHaveLength(10)
    expect(await unitsOf(app, key)).toEqual([0, 10, 0])
  })

  test('goes on when every key is replaced, and a refusal of one account is not remembered for another', async () => {
    const [empty, full] = [await newConsumer(app, 0), await newConsumer(app, 10)]
    expect((await spendAs(app, service, { account: empty.accountId })).status).toBe(402)
    expect((await spendAs(app, service, { account: full.accountId })).status).toBe(200)
    await app.request('POST', '/v1/keys/default/rotate', { token: full.accessToken })
    const { body } = await spendAs(app, service, { account: full.accountId })
    expect([body.left, body.used]).toEqual([8, 2])
  })

  test('settles what a key has reserved and the other way round, and counts it for whoever reserved', async () => {
    const person = await newConsumer(app, 100)
    const { accountId: account, key } = person
    const headers = asService(service, { account })
    const settleAs = (id: string, units: number, by: Record<string, string>) =>
      app.request('POST', `/v1/usage/reservations/${id}/settle`, { headers: by, json: { units } })
    const { body: ofKey } = await reserve(app, key, { units: 10 })
    const json = { units: 20 }
    const { body: ofService } = await app.request('POST', '/v1/usage/reservations', { headers, json })
    const stranger = await newConsumer(app, 100)
    const theirs = await settleAs(ofKey.id, 1, asService(service, { account: stranger.accountId }))
    expect(theirs.body.type).toBe('urn:bursar:problem:reservation_ended')
    expect(await unitsOf(app, key)).toEqual([70, 0, 30])
    expect((await settleAs(ofKey.id, 4, headers)).body).toMatchObject({ covered: 4, key: { id: 'service' } })
    const settled = await settleAs(ofService.id, 25, { authorization: `Bearer ${key}` })
    expect(settled.body).toMatchObject({ covered: 25, key: { id: 'default' } })
    expect(await unitsOf(app, key)).toEqual([71, 29, 0])
    const { body } = await app.request('GET', '/v1/usage', { token: person.accessToken })
    expect(body.days[0].keys).toEqual([
      { id: 'default', units: 4 },
      { id: 'service', units: 25 },
    ])
  })
})

describe('a batch across customers', () => {
  const batchRow = metering.find(({ customers }) => customers === 'each') as Placed

  test('is exact for each of them by itself, and a customer who is refused is refused alone', async () => {
    const [ada, eve, poor] = [
      await newConsumer(app, 10),
      await newConsumer(app, 10),
      await newConsumer(app, 1),
    ]
    const answer = await batchAs(app, service, [
      { units: 4, key: ada.key },
      { units: 1, key: 'garbage', requestId: 'r1' },
      { units: 2, account: eve.accountId, ip: '192.0.2.1' },
      { units: 7, key: ada.key },
      { units: 2, account: poor.accountId },
      { units: 6, key: ada.key, requestId: uuidv7() },
      { units: 1, account: 'f'.repeat(24) },
    ])
    expectContract(batchRow, answer)
    const { answers, ...rest } = answer.body
    expect([answer.status, rest]).toEqual([200, {}])
    const adas = { account: ada.accountId, key: { id: 'default', name: 'default', scopes: [] } }
    const ofService = { id: 'service', name: 'service', scopes: [] }
    expect(answers).toEqual([
      { status: 200, left: 6, used: 4, ...adas },
      {
        requestId: 'r1',
        status: 401,
        type: 'urn:bursar:problem:unauthorized',
        detail: 'Send a valid application key.',
      },
      { status: 200, left: 8, used: 2, account: eve.accountId, key: ofService },
      expect.objectContaining({
        status: 402,
        type: 'urn:bursar:problem:quota_exhausted',
        left: 6,
        used: 4,
        needed: 7,
        ...adas,
      }),
      expect.objectContaining({ status: 402, left: 1, account: poor.accountId, key: ofService }),
      expect.objectContaining({ status: 200, left: 0, used: 10, ...adas }),
      { status: 404, type: 'urn:bursar:problem:not_found', detail: 'No account has this id.' },
    ])
  })

  test('that is repeated under its Idempotency-Key spends nothing again, whatever its customers are', async () => {
    const people = await Promise.all(Array.from({ length: 20 }, () => newConsumer(app, 10)))
    const requests = [...people, ...people].map(({ key, accountId: account }, at) =>
      at % 2 === 0 ? { units: 1, key } : { units: 1, account },
    )
    const headers = { 'idempotency-key': uuidv7() }
    const [first, second] = [
      await batchAs(app, service, requests, headers),
      await batchAs(app, service, requests, headers),
    ]
    expect(first.headers.get('idempotent-replayed')).toBe(null)
    expect(second.headers.get('idempotent-replayed')).toBe('true')
    expect(second.body.answers.every((each: { replayed: true }) => each.replayed)).toBe(true)
    for (const { key } of people) expect((await unitsOf(app, key)).slice(0, 2)).toEqual([8, 2])
  })

  test('uses the customer of the headers for the requests that name nobody', async () => {
    const [ada, eve] = [await newConsumer(app, 10), await newConsumer(app, 10)]
    const requests = [{ units: 1 }, { units: 2, key: eve.key }, { units: 4, ip: '192.0.2.1' }]
    const { body } = await batchAs(app, service, requests, { 'x-bursar-key': ada.key })
    expect(body.answers.map(({ account }: { account: string }) => account)).toEqual(
      [ada, eve, ada].map(({ accountId }) => accountId),
    )
    expect((await unitsOf(app, ada.key))[1] + (await unitsOf(app, eve.key))[1]).toBe(7)
  })

  test('is refused as a whole if a request names nobody or two, before anything is spent', async () => {
    const { key, accountId: account } = await newConsumer(app, 10)
    const answer = await batchAs(app, service, [
      { units: 1, key },
      { units: 1 },
      { units: 1, key, account },
      { units: 1, key, ip: 'x' },
    ])
    expectError(batchRow, answer, 'invalid_request')
    expect(answer.body.errors.map(({ field }: { field: string }) => field)).toEqual([
      'requests.1.key',
      'requests.2.account',
      'requests.3.ip',
    ])
    expect((await unitsOf(app, key)).slice(0, 2)).toEqual([10, 0])
  })

  test('with a customer’s own key names no customer', async () => {
    const [ada, eve] = [await newConsumer(app, 10), await newConsumer(app, 10)]
    for (const named of [{ key: eve.key }, { account: eve.accountId }, { ip: '192.0.2.1' }]) {
      app.resetCalls()
      const answer = await app.request('POST', '/v1/usage/batch', {
        token: ada.key,
        json: { requests: [{ units: 1 }, { units: 1, ...named }] },
      })
      expectError(batchRow, answer, 'invalid_request')
      expect(answer.body.errors[0].field).toBe(`requests.1.${Object.keys(named)[0]}`)
      expect(Object.keys(outsideCalls(app))).toEqual(['GetItem'])
    }
    expect((await unitsOf(app, eve.key)).slice(0, 2)).toEqual([10, 0])
  })

  test('answers 503 for a customer whose write failed, and a repeat spends once', async () => {
    const [ada, eve] = [await newConsumer(app, 10), await newConsumer(app, 10)]
    const requests = [ada, eve].map(({ accountId: account }) => ({ units: 1, account, requestId: uuidv7() }))
    await spendAs(app, service, { account: ada.accountId }, { units: 0 })
    app.stack.dynamo.addFault({ fault: 'error-before', match: 'UpdateItem' })
    const failed = await batchAs(app, service, requests)
    app.stack.dynamo.clearFaults()
    expectContract(batchRow, failed)
    expect(failed.body.answers).toEqual(
      requests.map(({ requestId }) => ({
        requestId,
        status: 503,
        type: 'urn:bursar:problem:temporarily_unavailable',
        detail: expect.stringMatching(/Try again/),
        retryAfter: 1,
      })),
    )
    expect(
      app.logs.filter((line) => line.includes('requests of a batch for one customer failed')),
    ).toHaveLength(2)
    const again = await batchAs(app, service, requests)
    expect(again.body.answers.map(({ status }: { status: number }) => status)).toEqual([200, 200])
    for (const { key } of [ada, eve]) expect((await unitsOf(app, key)).slice(0, 2)).toEqual([9, 1])
  })
})

describe('the settings of a customer’s key', () => {
  const batchRow = metering.find(({ customers }) => customers === 'each') as Placed
  const set = async ({ accessToken: token }: SignedInPerson, json: object) =>
    expect((await app.request('PUT', '/v1/keys/default', { token, json })).status).toBe(200)

  test('hold for a service that names the key, at the network address that it says, and not for one that names the account', async () => {
    const person = await newConsumer(app, 10)
    const { key, accountId: account } = person
    await set(person, { ip: ['192.0.2.0/24'] })
    expect((await spendAs(app, service, { key, ip: '192.0.2.7' })).status).toBe(200)
    for (const ip of ['198.51.100.1', '2001:db8::1'])
      expectError(consumeRow, await spendAs(app, service, { key, ip }), 'ip_not_allowed')
    // Where the service itself is says nothing about its customer.
    await set(person, { ip: ['127.0.0.1', '::1'] })
    expectError(consumeRow, await spendAs(app, service, { key }), 'ip_not_allowed')
    expect((await spendAs(app, service, { account })).status).toBe(200)
    expect((await spendAs(app, service, { account }, { units: 1, requires: ['reports'] })).status).toBe(200)
    expect((await unitsOf(app, key)).slice(0, 2)).toEqual([7, 3])
  })

  test('hold for each request of a batch by itself', async () => {
    const [ada, eve] = [await newConsumer(app, 10), await newConsumer(app, 10)]
    await set(ada, { ip: ['192.0.2.0/24'], scopes: ['reports'] })
    const requests = [
      { units: 1, key: ada.key, ip: '192.0.2.1' },
      { units: 1, key: ada.key, ip: '198.51.100.1' },
      { units: 1, key: ada.key },
      { units: 1, key: ada.key, ip: '192.0.2.2' },
      { units: 1, key: eve.key, ip: '198.51.100.1' },
    ]
    const headers = asService(service)
    const json = { requests, requires: ['reports'] }
    const answer = await app.request('POST', '/v1/usage/batch', { headers, json })
    expectContract(batchRow, answer)
    expect(
      answer.body.answers.map(({ status, type = '' }: { status: number; type?: string }) => [
        status,
        type.split(':').at(-1),
      ]),
    ).toEqual([
      [200, ''],
      [403, 'ip_not_allowed'],
      [403, 'ip_not_allowed'],
      [200, ''],
      [403, 'insufficient_scope'],
    ])
    expect(answer.body.answers[4].missing).toEqual(['reports'])
    await set(ada, { enabled: false })
    const { body } = await batchAs(app, service, [{ units: 1, key: ada.key }])
    expect(body.answers[0].type).toBe('urn:bursar:problem:key_disabled')
    expect((await unitsOf(app, eve.key)).slice(0, 2)).toEqual([10, 0])
  })
})

test('a log line names the service, and neither its credential nor the key of its customer', async () => {
  const person = await newConsumer(app)
  await setUnits(app, person, 0)
  app.logs.length = 0
  await spendAs(app, service, { key: person.key })
  await spendAs(app, service, { key: 'garbage' })
  await batchAs(app, service, [{ units: 1, key: person.key }])
  const lines = app.logs.map((line) => JSON.parse(line))
  expect(lines.map(({ service: name, status }) => [name, status])).toEqual([
    [service.name, 402],
    [service.name, 401],
    [service.name, 200],
  ])
  for (const secret of [person.key, service.credential, service.credential.slice(4, 20)])
    expect(app.logs.join('\n')).not.toContain(secret)
})
