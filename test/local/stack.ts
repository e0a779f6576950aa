import { join } from 'node:path'
import {
  CreateTableCommand,
  DeleteTableCommand,
  DescribeTableCommand,
  DynamoDBClient,
  PutItemCommand,
  ScanCommand,
  type ScanCommandOutput,
} from '@aws-sdk/client-dynamodb'
import { systemClock } from '../../core/adapters/clock.ts'
import { randomIds } from '../../core/adapters/ids.ts'
import { openKeyring } from '../../core/adapters/keyring.ts'
import { answerTrigger, type CustomAuthEvent } from '../../core/credentials/verified-sign-in.ts'
import { PURPOSES } from '../../core/purposes.ts'
import { tableDefinition } from '../../core/table/definition.ts'
import { pageSettings } from '../../functions/deploy/page-settings.ts'
import { keysTextOf } from '../../functions/deploy/root-secret.ts'
import { appNameOf, senderOf } from '../../functions/deploy/settings.ts'
import { type StripeSetting, stripeMistake } from '../../functions/deploy/stripe-settings.ts'
import type { Setting } from '../../functions/http/needs.ts'
import { handler as preToken } from '../../functions/pre-token.ts'
import { type CognitoDouble, startCognito } from './cognito.ts'
import { type DynamoDouble, startDynamo } from './dynamodb.ts'
import { type EventBusDouble, startEventBus } from './event-bus.ts'
import { type KmsDouble, startKms } from './kms.ts'
import { type Invocation, type LambdaApiDouble, startLambdaApi } from './lambda-api.ts'
import { type MailDouble, startMail } from './mail.ts'
import type { MailEvent } from './mail-events.ts'
import { type StripeDouble, startStripe } from './stripe.ts'
import { startTurnstile, TURNSTILE_SECRET, type TurnstileDouble } from './turnstile.ts'

/** All services that the functions call, on loopback. */
export interface Stack {
  dynamo: DynamoDouble
  cognito: CognitoDouble
  mail: MailDouble
  kms: KmsDouble
  lambda: LambdaApiDouble
  events: EventBusDouble
  /** Undefined when the stack talks to Stripe's test mode. */
  stripe: StripeDouble | undefined
  /** Undefined unless TURNSTILE_SITE_KEY is set, as on a deployment. */
  challenge: TurnstileDouble | undefined
  tableName: string
  /** The environment that a deployment would give its functions. */
  env: Record<Setting, string> & Record<string, string>
  close(): Promise<void>
}

export interface StackOptions {
  nowMs(): number
  /** An existing folder for all data. Without a folder everything is in memory. */
  dataFolder?: string | undefined
  /** Returns the API's address once the API is up. Stripe's double sends its events there. */
  apiUrl?(): string
  /** The default is `bursar`. */
  tableName?: string
  /** Whether Stripe's double delivers events only when asked to. */
  manualWebhooks?: boolean
  /** The frontend: mails link to it, and passkeys belong to its host. */
  appUrl?: string | undefined
  /** Runs a function that another one invokes. Without it such invocations wait in the double of Lambda. */
  onInvoke?: ((invocation: Invocation) => void) | undefined
  /** Gets SES's events about messages that it suppressed. Without it they wait in the double. */
  onMailEvent?: ((event: MailEvent) => void) | undefined
  /** Instead of the name with which deployed code refuses the pool. */
  poolName?: string
  /** Called before each part starts. */
  onStep?(step: string): void
}

const REGION = 'eu-west-1'
const TABLE = 'bursar'

/** The trigger of the custom flow. Its handler would read the environment of a container, which the pool has not. */
const customAuth = (event: CustomAuthEvent, nowMs: () => number) => ({
  ...event,
  response: answerTrigger(
    { keyring: openKeyring(KEYRING), ids: randomIds({ ...systemClock, nowMs }) },
    event,
  ),
})

/** A stage's name that `live.ts` refuses when deployed, like every value of the local stack. */
const LOCAL_STAGE = 'Local0001'

/** A root secret that `live.ts` refuses when deployed. */
const ROOT_SECRET = '10ca1'.repeat(13).slice(0, 64)
const KEYRING = keysTextOf(ROOT_SECRET, PURPOSES)

/**
 * Starts the doubles, and creates the table if there is none yet.
 * @throws Error with a message for the person at the terminal, after all started parts have been closed.
 */
export async function startStack(options: StackOptions): Promise<Stack> {
  const stripe = stripeTestMode(process.env)
  const names = namesOf(process.env)
  const parts: Part[] = []
  const close = async () => {
    await Promise.all(parts.map((part) => part.close()))
  }
  const started = async <P extends Part>(starting: Promise<P>): Promise<P> => {
    const part = await starting
    parts.push(part)
    return part
  }
  try {
    return { ...(await startParts(options, stripe, names, started)), close }
  } catch (error) {
    await close()
    throw error
  }
}

interface Part {
  close(): Promise<void>
}

async function startParts(
  options: StackOptions,
  testMode: StripeEnvironment | undefined,
  { appName, sender, pages }: ReturnType<typeof namesOf>,
  /** Waits for a part and notes that the part has to be closed. */
  started: <P extends Part>(starting: Promise<P>) => Promise<P>,
): Promise<Omit<Stack, 'close'>> {
  const { nowMs, dataFolder, tableName = TABLE, onStep = () => {} } = options
  const file = (name: string) => (dataFolder === undefined ? {} : { stateFile: join(dataFolder, name) })
  const dbFile = dataFolder === undefined ? {} : { dbFile: join(dataFolder, 'table.db') }
  const endpoint = process.env.DYNAMODB_ENDPOINT

  onStep('DynamoDB    (Dynoxide, an SQLite file)')
  const dynamo = await started(startDynamo({ ...dbFile, ...(endpoint === undefined ? {} : { endpoint }) }))
  await createTable(dynamo.rawUrl, tableName)
  onStep('Cognito     (a double of the user pool)')
  const cognito = await started(
    startCognito({
      nowMs,
      region: REGION,
      poolName: options.poolName,
      preToken: (event) => preToken(event as never),
      customAuth: async (event) => customAuth(event as CustomAuthEvent, nowMs),
      ...file('cognito.json'),
    }),
  )
  onStep('SES and KMS (doubles: mail stays here)')
  const mail = await started(startMail({ nowMs, onEvent: options.onMailEvent, ...file('mail.json') }))
  const kms = await started(startKms(file('kms.json')))
  const lambda = await started(startLambdaApi(options.onInvoke))
  const events = await started(startEventBus({ nowMs, ...file('events.json') }))
  const challenge = process.env.TURNSTILE_SITE_KEY ? await started(startTurnstile()) : undefined
  const stripe =
    testMode === undefined ? await started(startPayments(options, file('stripe.json'))) : undefined
  if (!stripe) onStep('Stripe      (test mode; forward its events with the Stripe CLI, see the README)')

  const env = {
    AWS_REGION: REGION,
    AWS_ACCESS_KEY_ID: 'local',
    AWS_SECRET_ACCESS_KEY: 'local',
    AWS_ENDPOINT_URL_DYNAMODB: dynamo.url,
    AWS_ENDPOINT_URL_COGNITO_IDENTITY_PROVIDER: cognito.url,
    AWS_ENDPOINT_URL_SESV2: mail.url,
    AWS_ENDPOINT_URL_KMS: kms.url,
    AWS_ENDPOINT_URL_LAMBDA: lambda.url,
    AWS_ENDPOINT_URL_EVENTBRIDGE: events.url,
    TABLE_NAME: tableName,
    USER_POOL_ID: cognito.userPoolId,
    USER_POOL_CLIENT_ID: cognito.clientId,
    USER_POOL_CLIENT_SECRET: cognito.clientSecret,
    JWKS_URI: cognito.jwksUri,
    MAIL_FROM: sender,
    MAIL_CONFIGURATION_SET: 'bursar-local',
    APP_URL: options.appUrl ?? 'https://app.bursar.example',
    APP_NAME: appName,
    KMS_KEY_ID: kms.keyId,
    RENEWAL_FUNCTION: 'bursar-local-jobs-renew',
    EVENT_BUS: 'bursar-local',
    KEYRING,
    STAGE: LOCAL_STAGE,
    PAGE_SETTINGS: pages,
    ...(testMode ?? doubleOf(stripe)),
    ...(challenge && {
      TURNSTILE_SITE_KEY: process.env.TURNSTILE_SITE_KEY ?? '',
      TURNSTILE_SECRET_KEY: TURNSTILE_SECRET,
      TURNSTILE_API_BASE: challenge.url,
    }),
  }
  return { dynamo, cognito, mail, kms, lambda, events, stripe, challenge, tableName, env }
}

/**
 * The name and the sender with which the stack mails, and what pages show, as a deployment with the same settings would.
 * @throws Error with a sentence that says what is wrong with a setting
 */
function namesOf(env: typeof process.env) {
  const appName = appNameOf(env.APP_NAME)
  const { header, address } = senderOf(env.MAIL_FROM || '<no-reply@bursar.example>', appName)
  return { appName, sender: header, pages: JSON.stringify(pageSettings(env, address)) }
}

type StripeEnvironment = Record<StripeSetting, string> & { STRIPE_API_BASE?: string }

/**
 * Returns the settings for Stripe's test mode, or undefined for the double. A setting that is wrong stops the stack in
 * either case, so that nobody takes the double for Stripe.
 * @throws Error for a value that is none of the test mode; the message never quotes the value.
 */
function stripeTestMode(env: typeof process.env): StripeEnvironment | undefined {
  const given = (name: StripeSetting, absent: string) => {
    const value = env[name]
    const mistake = value ? stripeMistake(name, value, 'test') : undefined
    if (!mistake) return value || absent
    throw new Error(
      `${name} is ${mistake.is}. The local stack takes Stripe's test mode only: set it to ${mistake.wanted}, or unset Stripe's settings to use the double.`,
    )
  }
  const settings = {
    STRIPE_SECRET_KEY: given('STRIPE_SECRET_KEY', ''),
    STRIPE_PUBLISHABLE_KEY: given('STRIPE_PUBLISHABLE_KEY', 'pk_test_not_given'),
    STRIPE_WEBHOOK_SECRETS: given('STRIPE_WEBHOOK_SECRETS', 'whsec_not_given'),
  }
  return settings.STRIPE_SECRET_KEY ? settings : undefined
}

/** The settings for the double. Its keys have a mark that no deployment takes. */
const doubleOf = (double: StripeDouble | undefined): StripeEnvironment => ({
  STRIPE_SECRET_KEY: 'sk_test_Local0001',
  STRIPE_PUBLISHABLE_KEY: 'pk_test_Local0001',
  STRIPE_API_BASE: double?.url ?? '',
  STRIPE_WEBHOOK_SECRETS: double?.webhookSecret ?? '',
})

function startPayments(
  { nowMs, apiUrl, manualWebhooks, onStep = () => {} }: StackOptions,
  file: { stateFile?: string },
): Promise<StripeDouble> {
  onStep('Stripe      (a double; `pm_card_visa` and its other test cards work)')
  const webhookUrl = apiUrl && (() => `${apiUrl()}/webhooks/stripe`)
  return startStripe({
    nowMs,
    ...file,
    ...(webhookUrl && { webhookUrl }),
    ...(manualWebhooks && { delivery: 'manual' as const }),
  })
}

/** Removes every item by deleting the table and creating it again. */
export async function clearTable({ dynamo, tableName }: Stack): Promise<void> {
  const client = clientAt(dynamo.rawUrl)
  await client.send(new DeleteTableCommand({ TableName: tableName }))
  client.destroy()
  await createTable(dynamo.rawUrl, tableName)
}

/** Makes a second table that has every item of the first one, as a point-in-time restore does. */
export async function copyTable({ dynamo, tableName }: Stack, copyName: string): Promise<void> {
  await createTable(dynamo.rawUrl, copyName)
  const client = clientAt(dynamo.rawUrl)
  let from: ScanCommandOutput['LastEvaluatedKey']
  do {
    const start = from && { ExclusiveStartKey: from }
    const { Items = [], LastEvaluatedKey } = await client.send(
      new ScanCommand({ TableName: tableName, ConsistentRead: true, ...start }),
    )
    for (const Item of Items) await client.send(new PutItemCommand({ TableName: copyName, Item }))
    from = LastEvaluatedKey
  } while (from)
  client.destroy()
}

const clientAt = (endpoint: string) =>
  new DynamoDBClient({
    endpoint,
    region: REGION,
    credentials: { accessKeyId: 'local', secretAccessKey: 'local' },
  })

async function createTable(endpoint: string, tableName: string): Promise<void> {
  const client = clientAt(endpoint)
  const exists = await client
    .send(new DescribeTableCommand({ TableName: tableName }))
    .catch((error: Error) => {
      if (error.name !== 'ResourceNotFoundException') throw error
    })
  if (!exists) {
    const { attributes, primary, indexes } = tableDefinition
    const schema = ({ hashKey, rangeKey }: { hashKey: string; rangeKey: string }) => [
      { AttributeName: hashKey, KeyType: 'HASH' as const },
      { AttributeName: rangeKey, KeyType: 'RANGE' as const },
    ]
    await client.send(
      new CreateTableCommand({
        TableName: tableName,
        BillingMode: 'PAY_PER_REQUEST',
        AttributeDefinitions: Object.entries(attributes).map(([AttributeName, AttributeType]) => ({
          AttributeName,
          AttributeType,
        })),
        KeySchema: schema(primary),
        GlobalSecondaryIndexes: Object.entries(indexes).map(([IndexName, index]) => ({
          IndexName,
          KeySchema: schema(index),
          Projection: { ProjectionType: index.projection },
        })),
      }),
    )
  }
  client.destroy()
}
