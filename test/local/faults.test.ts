import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import {
  AdminCreateUserCommand,
  CognitoIdentityProviderClient,
} from '@aws-sdk/client-cognito-identity-provider'
import { CreateTableCommand, DynamoDBClient, GetItemCommand, PutItemCommand } from '@aws-sdk/client-dynamodb'
import { DecryptCommand, EncryptCommand, KMSClient } from '@aws-sdk/client-kms'
import { SESv2Client, SendEmailCommand } from '@aws-sdk/client-sesv2'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { startCognito } from './cognito.ts'
import { startDynamo } from './dynamodb.ts'
import type { FaultControls, OperationFault } from './faults.ts'
import { startKms } from './kms.ts'
import { startMail } from './mail.ts'

/** A double, and one of its operations, which AWS's own client sends without retries. */
interface Subject extends FaultControls<OperationFault> {
  /** Sends the operation. */
  ask(): Promise<unknown>
  /** How often the double has carried out the operation. KMS stores nothing, so its answers are counted. */
  done(): Promise<number>
  calls(): Record<string, number>
  close(): Promise<void>
}

const CLIENT = {
  region: 'eu-west-1',
  credentials: { accessKeyId: 'local', secretAccessKey: 'local' },
  maxAttempts: 1,
}

async function dynamoSubject(): Promise<Subject> {
  const double = await startDynamo()
  const client = new DynamoDBClient({ ...CLIENT, endpoint: double.url })
  const direct = new DynamoDBClient({ ...CLIENT, endpoint: double.rawUrl })
  await direct.send(
    new CreateTableCommand({
      TableName: 'things',
      KeySchema: [{ AttributeName: 'pk', KeyType: 'HASH' }],
      AttributeDefinitions: [{ AttributeName: 'pk', AttributeType: 'S' }],
      BillingMode: 'PAY_PER_REQUEST',
    }),
  )
  const keys: string[] = []
  const ask = () => {
    const pk = `item${keys.length}`
    keys.push(pk)
    return client.send(new PutItemCommand({ TableName: 'things', Item: { pk: { S: pk } } }))
  }
  const stands = async (pk: string) => {
    const read = new GetItemCommand({ TableName: 'things', Key: { pk: { S: pk } }, ConsistentRead: true })
    return (await direct.send(read)).Item !== undefined
  }
  const done = async () => (await Promise.all(keys.map(stands))).filter(Boolean).length
  return { ...double, ask, done, calls: () => double.counts().calls }
}

async function cognitoSubject(): Promise<Subject> {
  const double = await startCognito({ nowMs: Date.now })
  const client = new CognitoIdentityProviderClient({ ...CLIENT, endpoint: double.url })
  let asked = 0
  const ask = () =>
    client.send(
      new AdminCreateUserCommand({
        UserPoolId: double.userPoolId,
        Username: `user${asked++}`,
        MessageAction: 'SUPPRESS',
      }),
    )
  return { ...double, ask, done: async () => double.users().length }
}

async function mailSubject(): Promise<Subject> {
  const double = await startMail({ nowMs: Date.now })
  const client = new SESv2Client({ ...CLIENT, endpoint: double.url })
  const ask = () =>
    client.send(
      new SendEmailCommand({
        FromEmailAddress: 'no-reply@bursar.example',
        Destination: { ToAddresses: ['reader@example.com'] },
        Content: { Simple: { Subject: { Data: 'Hello' }, Body: { Text: { Data: 'in words' } } } },
      }),
    )
  return { ...double, ask, done: async () => double.messages().length }
}

async function kmsSubject(): Promise<Subject> {
  const double = await startKms()
  const client = new KMSClient({ ...CLIENT, endpoint: double.url })
  let answers = 0
  const ask = async () => {
    await client.send(new EncryptCommand({ KeyId: double.keyId, Plaintext: Buffer.from('text') }))
    answers += 1
  }
  return { ...double, ask, done: async () => answers }
}

const SERVICES = [
  {
    service: 'DynamoDB',
    start: dynamoSubject,
    operation: 'PutItem',
    keeps: true,
    error: 'InternalServerError',
    throttle: ['ThrottlingException', 400],
  },
  {
    service: 'Cognito',
    start: cognitoSubject,
    operation: 'AdminCreateUser',
    keeps: true,
    error: 'InternalErrorException',
    throttle: ['TooManyRequestsException', 400],
  },
  {
    service: 'SES',
    start: mailSubject,
    operation: 'SendEmail',
    keeps: true,
    error: 'InternalServiceErrorException',
    throttle: ['TooManyRequestsException', 429],
  },
  {
    service: 'KMS',
    start: kmsSubject,
    operation: 'Encrypt',
    keeps: false,
    error: 'KMSInternalException',
    throttle: ['ThrottlingException', 400],
  },
] as const

/** Waits until all work that does not depend on a timer is done. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => setImmediate(resolve))
}

const arrived = async (subject: Subject, operation: string, count: number): Promise<void> => {
  while ((subject.calls()[operation] ?? 0) < count) await settle()
}

describe.each(SERVICES)('$service', ({ start, operation, keeps, error, throttle }) => {
  let subject: Subject
  let doneBefore = 0
  const done = async () => (await subject.done()) - doneBefore

  beforeAll(async () => {
    subject = await start()
  })
  beforeEach(async () => {
    subject.clearFaults()
    doneBefore = await subject.done()
  })
  afterEach(() => vi.useRealTimers())
  afterAll(() => subject.close())

  test.each([
    ['error-before', 0],
    ['error-after', 1],
  ] as const)('%s: 500 with the service’s own name, and the work is done %i times', async (fault, times) => {
    subject.addFault({ fault, times: 1 })
    await expect(subject.ask()).rejects.toMatchObject({ name: error, $metadata: { httpStatusCode: 500 } })
    if (keeps) expect(await done()).toBe(times)
  })

  test.each([
    ['lose-reply-before-commit', 0],
    ['lose-reply-after-commit', 1],
  ] as const)('%s: the connection is reset, and the work is done %i times', async (fault, times) => {
    subject.addFault({ fault, times: 1 })
    await expect(subject.ask()).rejects.toMatchObject({ code: 'ECONNRESET' })
    if (keeps) expect(await done()).toBe(times)
  })

  test('throttle: refused with the service’s own name and status, and nothing is done', async () => {
    subject.addFault({ fault: 'throttle', times: 1 })
    const [name, httpStatusCode] = throttle
    await expect(subject.ask()).rejects.toMatchObject({ name, $metadata: { httpStatusCode } })
    expect(await done()).toBe(0)
  })

  test('delay: the request is served after delayMs and not before', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    const calls = subject.calls()[operation] ?? 0
    subject.addFault({ fault: 'delay', delayMs: 5000, times: 1 })
    const asking = subject.ask()
    await arrived(subject, operation, calls + 1)
    await vi.advanceTimersByTimeAsync(4999)
    await settle()
    expect(await done()).toBe(0)
    await vi.advanceTimersByTimeAsync(1)
    await asking
    expect(await done()).toBe(1)
  })

  test('once the faults are used up or cleared, requests are served again', async () => {
    subject.addFault({ fault: 'throttle', times: 2 })
    subject.addFault({ fault: 'error-before', match: operation })
    const names: unknown[] = []
    for (let n = 0; n < 4; n += 1) names.push(await subject.ask().catch(({ name }: Error) => name))
    expect(names).toEqual([throttle[0], throttle[0], error, error])
    subject.clearFaults()
    await subject.ask()
    expect(await done()).toBe(1)
  })

  test('a request that is waiting when the double closes gets no answer and is not served', async () => {
    const closing = await start()
    closing.addFault({ fault: 'delay', delayMs: 3_600_000 })
    const answer = closing.ask().then(
      () => 'answered',
      ({ code }: NodeJS.ErrnoException) => code,
    )
    await arrived(closing, operation, 1)
    await closing.close()
    expect(await answer).toBe('ECONNRESET')
    await settle()
    if (operation !== 'PutItem') expect(await closing.done()).toBe(0)
  })
})

describe('KMS, which has two operations', () => {
  let double: Awaited<ReturnType<typeof startKms>>
  let client: KMSClient
  beforeAll(async () => {
    double = await startKms()
    client = new KMSClient({ ...CLIENT, endpoint: double.url })
  })
  afterAll(() => double.close())

  test('a fault affects only the operation that it names, and only that uses up its `times`', async () => {
    const plain = { KeyId: double.keyId, Plaintext: Buffer.from('text') }
    const encrypt = () => client.send(new EncryptCommand(plain))
    const { CiphertextBlob } = await encrypt()
    const decrypt = () => client.send(new DecryptCommand({ CiphertextBlob }))
    double.addFault({ fault: 'error-before', match: 'Decrypt', times: 1 })
    double.addFault({ fault: 'throttle', times: 1 })
    await expect(encrypt()).rejects.toMatchObject({ name: 'ThrottlingException' })
    await encrypt()
    await expect(decrypt()).rejects.toMatchObject({ name: 'KMSInternalException' })
    await decrypt()
  })
})

test('a process ends by itself once its doubles are closed, even during delays', async () => {
  const script = `
    const load = (name) => import(new URL(name + '.ts', process.argv[1]).href)
    const nowMs = () => Date.now()
    const [{ startCognito }, { startDynamo }, { startKms }, { startMail }, { startStripe }] =
      await Promise.all(['cognito', 'dynamodb', 'kms', 'mail', 'stripe'].map(load))
    const requests = [
      [await startDynamo(), '/', 'DynamoDB_20120810.GetItem'],
      [await startCognito({ nowMs }), '/', 'AWSCognitoIdentityProviderService.InitiateAuth'],
      [await startMail({ nowMs }), '/v2/email/outbound-emails', ''],
      [await startKms(), '/', 'TrentService.Encrypt'],
      [await startStripe({ nowMs }), '/v1/customers', ''],
    ]
    const answers = requests.map(async ([double, path, target]) => {
      double.addFault({ fault: 'delay', delayMs: 3_600_000 })
      const body = JSON.stringify({ TableName: 'bursar', Key: { pk: { S: 'A' }, sk: { S: 'B' } } })
      const request = { method: 'POST', headers: { 'x-amz-target': target }, body }
      return fetch(double.url + path, request).then(() => 'answered', () => 'cut')
    })
    const arrived = ([double]) => Object.keys(double.calls?.() ?? double.counts().calls).length > 0
    while (!requests.every(arrived)) await new Promise((resolve) => setImmediate(resolve))
    await Promise.all(requests.map(([double]) => double.close()))
    console.log((await Promise.all(answers)).join())`
  const base = pathToFileURL(join(import.meta.dirname, 'x.ts')).href
  const run = promisify(execFile)(process.execPath, ['--input-type=module', '-e', script, base], {
    timeout: 15_000,
  })
  expect((await run).stdout).toBe('cut,cut,cut,cut,cut\n')
})
