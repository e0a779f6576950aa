import { SignatureV4 } from '@smithy/signature-v4'
import { afterAll, beforeEach, expect, test } from 'vitest'
import { requestSigner } from '../../core/adapters/aws-sign.ts'
import { eventBridgeBus } from '../../core/adapters/event-bus.ts'
import { startEventBus } from '../local/event-bus.ts'
import { listen } from '../local/http.ts'
import { Sha256 } from '../support/sha256.ts'

const credentials = { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: 'secret', sessionToken: 'token' }
const region = 'eu-west-1'
const busName = 'bursar-production-EventsBus'
const NOW_MS = Date.UTC(2026, 10, 21, 12)

const double = await startEventBus({ nowMs: () => NOW_MS })
afterAll(() => double.close())
beforeEach(() => {
  double.clearFaults()
  double.resetCalls()
  double.clear()
})
const busAt = (endpoint: string) => eventBridgeBus({ busName, region, endpoint, credentials })

test('an event is one entry with our source, its type and its detail, letters beyond ASCII included', async () => {
  await busAt(double.url).publish('bursar.quota_alert', { id: 'a', name: 'Zoë' })
  expect(double.events()).toEqual([
    {
      id: expect.any(String),
      source: 'bursar',
      'detail-type': 'bursar.quota_alert',
      time: '2026-11-21T12:00:00.000Z',
      detail: { id: 'a', name: 'Zoë' },
    },
  ])
  expect(double.calls()).toEqual({ PutEvents: 1 })
})

test('its signature equals that of AWS’s own signer', async () => {
  const headers = {
    host: 'events.eu-west-1.amazonaws.com',
    'content-type': 'application/x-amz-json-1.1',
    'x-amz-target': 'AWSEvents.PutEvents',
  }
  const body = JSON.stringify({ Entries: [{ Detail: '{"name":"Zoë"}' }] })
  const signer = { service: 'events', region, credentials, sha256: Sha256, applyChecksum: false }
  const request = { method: 'POST', protocol: 'https:', hostname: headers.host, path: '/', headers, body }
  const signed = await new SignatureV4(signer).sign(request, { signingDate: new Date(0) })
  expect(requestSigner(region, credentials, 'events')({ headers, body }, 0)).toEqual(signed.headers)
})

test.each(['error-before', 'throttle'] as const)('rejects after %s', async (fault) => {
  double.addFault({ fault })
  await expect(busAt(double.url).publish('bursar.quota_alert', {})).rejects.toThrow('EventBridge answered')
})

test('rejects an answer 200 that says that the event was not taken', async () => {
  const refusing = await listen((_, response) => {
    const Entries = [{ ErrorCode: 'ThrottlingException', ErrorMessage: 'Rate exceeded' }]
    response.end(JSON.stringify({ FailedEntryCount: 1, Entries }))
  })
  await expect(busAt(refusing.url).publish('bursar.quota_alert', {})).rejects.toThrow('ThrottlingException')
  await refusing.close()
})

test.each([
  ['a request without a signature', { authorization: '' }, '{}', 'MissingAuthenticationTokenException'],
  ['another operation', { 'x-amz-target': 'AWSEvents.PutRule' }, '{}', 'UnknownOperationException'],
  ['no entries', {}, '{"Entries":[]}', 'ValidationException'],
])('the double refuses %s', async (_, more, body, type) => {
  const headers = { authorization: 'AWS4-HMAC-SHA256 x', 'x-amz-target': 'AWSEvents.PutEvents', ...more }
  const response = await fetch(double.url, { method: 'POST', headers, body })
  expect([response.status, await response.json()]).toMatchObject([400, { __type: type }])
})
