import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { SESv2Client, SendEmailCommand } from '@aws-sdk/client-sesv2'
import { afterAll, afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { sesMail } from '../../core/adapters/ses.ts'
import { pacedMail } from '../../core/notifications/mail-pace.ts'
import { listen } from '../local/http.ts'
import { type MailDouble, startMail } from '../local/mail.ts'
import { mailContract } from './mail.contract.ts'

const FROM = 'no-reply@bursar.example'
const APP_URL = 'https://app.bursar.example'
let nowMs = Date.UTC(2026, 0, 1)
const double: MailDouble = await startMail({ nowMs: () => nowMs })

function pointAt(url: string): void {
  vi.stubEnv('AWS_ENDPOINT_URL_SESV2', url)
  vi.stubEnv('AWS_REGION', 'us-east-1')
  vi.stubEnv('AWS_ACCESS_KEY_ID', 'local')
  vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'local')
}

function emailTo(to: string, subject = 'Hello') {
  return { to, subject, text: 'in words', html: '<p>in markup</p>' }
}

afterAll(() => double.close())

// A verified sender of a real AWS account. Credentials and region come from the environment.
const realSender = process.env.SES_CONTRACT_FROM
if (realSender) mailContract('SES', { from: realSender, to: 'success@simulator.amazonses.com' })

describe('with the double in the environment', () => {
  beforeEach(() => {
    pointAt(double.url)
    double.resetCalls()
  })
  afterEach(() => {
    double.clearFaults()
    vi.unstubAllEnvs()
  })

  mailContract('the double', { from: FROM, to: 'reader@example.com' })

  test('a run that is told that its mails come too fast waits a second and sends the mail, and no other failure waits', async () => {
    const waits: number[] = []
    const clock = {
      nowMs: () => nowMs,
      wait: async (ms: number) => {
        waits.push(ms)
        nowMs += ms
      },
    }
    const mail = pacedMail(sesMail({ from: FROM, appUrl: APP_URL, appName: 'Bursar' }), clock)
    double.addFault({ fault: 'throttle', times: 2 })
    await mail.send(emailTo('fast@example.com'))
    expect([waits, double.messages('fast@example.com').length]).toEqual([[1_000], 1])
    double.addFault({ fault: 'error-before', times: 2 })
    await expect(mail.send(emailTo('fast@example.com'))).rejects.toMatchObject({
      code: 'temporarily_unavailable',
    })
    expect(waits).toEqual([1_000])
  })

  test('a message arrives as it was sent, stamped with the stack’s clock', async () => {
    nowMs = Date.UTC(2026, 5, 7, 8, 9, 10, 11)
    await sesMail({ from: FROM, appUrl: APP_URL, appName: 'Bursar', configurationSet: 'bursar-main' }).send({
      to: 'whole@example.com',
      subject: 'Zażółć',
      text: 'γεια\r\n',
      html: '<b>γεια</b>',
    })
    expect(double.senders('whole@example.com')).toEqual([FROM])
    expect(double.messages('whole@example.com')).toEqual([
      {
        to: 'whole@example.com',
        subject: 'Zażółć',
        text: 'γεια\r\n',
        html: '<b>γεια</b>',
        sentAt: '2026-06-07T08:09:10.011Z',
      },
    ])
  })

  test('messages are found by address in any case, oldest first, and only those', async () => {
    const mail = sesMail({ from: FROM, appUrl: APP_URL, appName: 'Bursar' })
    await mail.send(emailTo('Ordered@Example.com', 'first'))
    await mail.send(emailTo('someone.else@example.com', 'between'))
    await mail.send(emailTo('ordered@example.com', 'second'))
    const subjects = double.messages('oRDERED@eXAMPLE.COM').map(({ subject }) => subject)
    expect(subjects).toEqual(['first', 'second'])
    expect(double.messages().map(({ subject }) => subject)).toContain('between')
  })

  test('an international domain goes out in Punycode and is found by either spelling', async () => {
    await sesMail({ from: FROM, appUrl: APP_URL, appName: 'Bursar' }).send(emailTo('leser@Bücher.example'))
    expect(double.messages('leser@bücher.example')).toMatchObject([{ to: 'leser@xn--bcher-kva.example' }])
    expect(double.messages('leser@xn--bcher-kva.example')).toHaveLength(1)
  })

  test('a transient fault is retried once, and the message is sent once', async () => {
    double.addFault({ fault: 'error-before', times: 1 })
    await sesMail({ from: FROM, appUrl: APP_URL, appName: 'Bursar' }).send(emailTo('retried@example.com'))
    expect(double.messages('retried@example.com')).toHaveLength(1)
    expect(double.calls()).toEqual({ SendEmail: 2 })
  })

  test('a lasting fault is temporarily_unavailable after two attempts, and nothing is sent', async () => {
    double.addFault({ fault: 'error-before', times: 2 })
    await expect(
      sesMail({ from: FROM, appUrl: APP_URL, appName: 'Bursar' }).send(emailTo('lost@example.com')),
    ).rejects.toMatchObject({
      code: 'temporarily_unavailable',
      cause: { $metadata: { httpStatusCode: 500 } },
    })
    expect(double.messages('lost@example.com')).toEqual([])
    expect(double.calls()).toEqual({ SendEmail: 2 })
    await sesMail({ from: FROM, appUrl: APP_URL, appName: 'Bursar' }).send(emailTo('lost@example.com'))
    expect(double.messages('lost@example.com')).toHaveLength(1)
  })

  test.each([
    ['an unknown parameter', { Colour: 'red' }],
    ['a sender with a comma outside quotes', { FromEmailAddress: `Acme, Inc. <${FROM}>` }],
    ['a sender with a quote inside quotes', { FromEmailAddress: `"The "Best"" <${FROM}>` }],
    ['a sender with letters beyond ASCII', { FromEmailAddress: `Bücher <${FROM}>` }],
    ['a tag with a space', { EmailTags: [{ Name: 'account', Value: 'a b' }] }],
    ['a recipient in Bcc', { Destination: { BccAddresses: ['a@example.com'] } }],
    ['two recipients', { Destination: { ToAddresses: ['a@example.com', 'b@example.com'] } }],
    ['a list in one recipient', { Destination: { ToAddresses: ['a@example.com, b@example.com'] } }],
    ['a subject of two lines', { Content: simple({ Subject: { Data: 'a\nBcc: b@example.com' } }) }],
    ['text beyond ASCII without a charset', { Content: simple({ Subject: { Data: 'ü' } }) }],
    ['a message without a body', { Content: simple({ Body: {} }) }],
  ])('the double refuses %s', async (_, change) => {
    const body = {
      FromEmailAddress: FROM,
      Destination: { ToAddresses: ['a@example.com'] },
      Content: simple({}),
    }
    expect((await post(double.url, body)).status).toBe(200)
    const refused = await post(double.url, { ...body, ...change })
    expect(refused.status).toBe(400)
    expect(refused.headers.get('x-amzn-errortype')).toBe('BadRequestException')
  })

  test('the double refuses an unsigned request, and any other operation', async () => {
    const unsigned = await fetch(`${double.url}/v2/email/outbound-emails`, { method: 'POST', body: '{}' })
    expect(unsigned.status).toBe(403)
    expect((await fetch(`${double.url}/v2/email/identities`)).status).toBe(404)
  })
})

describe('when SES fails', () => {
  afterEach(() => {
    vi.useRealTimers()
    vi.unstubAllEnvs()
  })

  test.each([
    [429, 'TooManyRequestsException'],
    [400, 'SendingPausedException'],
    [400, 'AccountSuspendedException'],
    [400, 'LimitExceededException'],
    [403, 'AccessDeniedException'],
    [404, 'NotFoundException'],
    [503, 'ServiceUnavailable'],
  ])('%i %s is temporarily_unavailable, so the message can be retried', async (status, type) => {
    const ses = await listen((_, response) => {
      response.writeHead(status, { 'x-amzn-errortype': type }).end('{"message": "not now"}')
    })
    pointAt(ses.url)
    const sending = sesMail({ from: FROM, appUrl: APP_URL, appName: 'Bursar' }).send(
      emailTo('later@example.com'),
    )
    await expect(sending).rejects.toMatchObject({ code: 'temporarily_unavailable', cause: { name: type } })
    await ses.close()
  })

  test('a message that SES rejects is refused permanently, without quoting the address', async () => {
    const ses = await listen((_, response) => {
      const message = 'Email address is not verified: secret@example.com'
      response.writeHead(400, { 'x-amzn-errortype': 'MessageRejected' }).end(JSON.stringify({ message }))
    })
    pointAt(ses.url)
    const sending = sesMail({ from: FROM, appUrl: APP_URL, appName: 'Bursar' }).send(
      emailTo('secret@example.com'),
    )
    await expect(sending).rejects.toEqual(new Error('SES refused the message (MessageRejected).'))
    await ses.close()
  })

  test('a closed port is temporarily_unavailable', async () => {
    const ses = await listen(() => {})
    await ses.close()
    pointAt(ses.url)
    const sending = sesMail({ from: FROM, appUrl: APP_URL, appName: 'Bursar' }).send(
      emailTo('later@example.com'),
    )
    await expect(sending).rejects.toMatchObject({ code: 'temporarily_unavailable' })
  })

  test('no answer is temporarily_unavailable after two attempts of 5 seconds', async () => {
    let requests = 0
    const ses = await listen(() => {
      requests += 1
    })
    pointAt(ses.url)
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    let error: unknown
    const sending = sesMail({ from: FROM, appUrl: APP_URL, appName: 'Bursar' })
      .send(emailTo('later@example.com'))
      .catch((thrown: unknown) => {
        error = thrown
      })
    let waitedMs = 0
    for (; error === undefined && waitedMs < 20_000; waitedMs += 100) {
      for (let turn = 0; turn < 5; turn += 1) await new Promise((resolve) => setImmediate(resolve))
      await vi.advanceTimersByTimeAsync(100)
    }
    await sending
    expect(error).toMatchObject({ code: 'temporarily_unavailable', cause: { name: 'TimeoutError' } })
    expect(requests).toBe(2)
    expect(waitedMs).toBeGreaterThan(9_900)
    expect(waitedMs).toBeLessThan(12_000)
    await ses.close()
  })
})

test('accepted mail survives a restart with the same state file', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'bursar-mail-'))
  const options = { nowMs: () => 0, stateFile: join(folder, 'mail.json') }
  const first = await startMail(options)
  const client = new SESv2Client({
    endpoint: first.url,
    region: 'us-east-1',
    credentials: { accessKeyId: 'local', secretAccessKey: 'local' },
  })
  await sesMail({ from: FROM, appUrl: APP_URL, appName: 'Bursar', client }).send(emailTo('kept@example.com'))
  const kept = first.messages()
  await first.close()
  const second = await startMail(options)
  expect(kept).toHaveLength(1)
  expect(second.messages()).toEqual(kept)
  await second.close()
  rmSync(folder, { recursive: true })
})

test('a client that the caller passes is used unchanged', async () => {
  const client = new SESv2Client({})
  const send = vi.spyOn(client, 'send').mockImplementation(async () => ({}))
  await sesMail({ from: FROM, appUrl: APP_URL, appName: 'Bursar', client }).send(emailTo('any@example.com'))
  expect(send).toHaveBeenCalledExactlyOnceWith(expect.any(SendEmailCommand))
})

function simple(change: object) {
  return { Simple: { Subject: { Data: 'Hello' }, Body: { Text: { Data: 'Hello' } }, ...change } }
}

function post(url: string, body: object): Promise<Response> {
  return fetch(`${url}/v2/email/outbound-emails`, {
    method: 'POST',
    headers: { authorization: 'AWS4-HMAC-SHA256 Credential=local' },
    body: JSON.stringify(body),
  })
}
