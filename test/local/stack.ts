import { join } from 'node:path'
import { CreateTableCommand, DescribeTableCommand, DynamoDBClient } from '@aws-sdk/client-dynamodb'
import { definition } from '../../core/table/definition.ts'
import type { Setting } from '../../functions/http/needs.ts'
import { handler as preToken } from '../../functions/pre-token.ts'
import { type CognitoDouble, startCognito } from './cognito.ts'
import { type DynamoDouble, startDynamo } from './dynamodb.ts'
import { type KmsDouble, startKms } from './kms.ts'
import { type MailDouble, startMail } from './mail.ts'
import { type StripeDouble, startStripe } from './stripe.ts'

/** Everything that the functions talk to, on loopback. */
export interface Stack {
  dynamo: DynamoDouble
  cognito: CognitoDouble
  mail: MailDouble
  kms: KmsDouble
  /** Absent when the stack talks to Stripe's test mode. */
  stripe: StripeDouble | undefined
  tableName: string
  /** The environment that a deployment would give its functions. */
  env: Record<Setting, string> & Record<string, string>
  close(): Promise<void>
}

export interface StackOptions {
  nowMs(): number
  /** An existing folder where everything is kept; nothing outlives the process without it. */
  dataFolder?: string | undefined
  /** The API's address once it is up: Stripe's double sends its events there. */
  apiUrl?(): string
  /** Stripe's double delivers nothing by itself. */
  manualWebhooks?: boolean
  /** Told before each part starts. */
  onStep?(step: string): void
}

const REGION = 'eu-west-1'
const TABLE = 'bursar'

/** A root secret that `live.ts` refuses when deployed. */
const ROOT_SECRET = '10ca1'.repeat(13).slice(0, 64)

/** Starts the doubles, and creates the table where there is none yet. */
export async function startStack(options: StackOptions): Promise<Stack> {
  const { nowMs, dataFolder, onStep = () => {} } = options
  const file = (name: string) => (dataFolder === undefined ? {} : { stateFile: join(dataFolder, name) })
  const dbFile = dataFolder === undefined ? {} : { dbFile: join(dataFolder, 'table.db') }
  const endpoint = process.env.DYNAMODB_ENDPOINT

  onStep('DynamoDB    (Dynoxide, an SQLite file)')
  const dynamo = await startDynamo({ ...dbFile, ...(endpoint === undefined ? {} : { endpoint }) })
  await createTable(dynamo.rawUrl)
  onStep('Cognito     (a double of the user pool)')
  const cognito = await startCognito({
    nowMs,
    region: REGION,
    preToken: (event) => preToken(event as never),
    ...file('cognito.json'),
  })
  onStep('SES and KMS (doubles: mail stays here)')
  const mail = await startMail({ nowMs, ...file('mail.json') })
  const kms = await startKms(file('kms.json'))
  const stripe = await startPayments(options, file('stripe.json'))

  const env = {
    AWS_REGION: REGION,
    AWS_ACCESS_KEY_ID: 'local',
    AWS_SECRET_ACCESS_KEY: 'local',
    AWS_ENDPOINT_URL_DYNAMODB: dynamo.url,
    AWS_ENDPOINT_URL_COGNITO_IDENTITY_PROVIDER: cognito.url,
    AWS_ENDPOINT_URL_SESV2: mail.url,
    AWS_ENDPOINT_URL_KMS: kms.url,
    TABLE_NAME: TABLE,
    USER_POOL_ID: cognito.userPoolId,
    USER_POOL_CLIENT_ID: cognito.clientId,
    USER_POOL_CLIENT_SECRET: cognito.clientSecret,
    JWKS_URI: cognito.jwksUri,
    MAIL_FROM: 'Bursar <no-reply@bursar.example>',
    APP_URL: 'https://app.bursar.example',
    KMS_KEY_ID: kms.keyId,
    ROOT_SECRET,
    ...stripe.env,
  }
  const close = async () => {
    await Promise.all([dynamo, cognito, mail, kms, stripe.double].map((part) => part?.close()))
  }
  return { dynamo, cognito, mail, kms, stripe: stripe.double, tableName: TABLE, env, close }
}

type StripeEnvironment = Record<'STRIPE_SECRET_KEY' | 'STRIPE_WEBHOOK_SECRETS', string> & {
  STRIPE_API_BASE?: string
}

/** Stripe's test mode where its key is given, else the double. */
async function startPayments(
  { nowMs, apiUrl, manualWebhooks, onStep = () => {} }: StackOptions,
  file: { stateFile?: string },
): Promise<{ double?: StripeDouble; env: StripeEnvironment }> {
  const { STRIPE_SECRET_KEY, STRIPE_WEBHOOK_SECRETS = 'whsec_not_given' } = process.env
  if (STRIPE_SECRET_KEY?.startsWith('sk_live_')) {
    throw new Error('STRIPE_SECRET_KEY is a live key. The local stack takes test keys only: sk_test_…')
  }
  if (STRIPE_SECRET_KEY) {
    onStep('Stripe      (test mode; forward its events with the Stripe CLI, see the README)')
    return { env: { STRIPE_SECRET_KEY, STRIPE_WEBHOOK_SECRETS } }
  }
  onStep('Stripe      (a double; `pm_card_visa` and its other test cards work)')
  const webhookUrl = apiUrl && (() => `${apiUrl()}/webhooks/stripe`)
  const double = await startStripe({
    nowMs,
    ...file,
    ...(webhookUrl && { webhookUrl }),
    ...(manualWebhooks && { delivery: 'manual' as const }),
  })
  const env = {
    STRIPE_SECRET_KEY: 'sk_test_Local0001',
    STRIPE_API_BASE: double.url,
    STRIPE_WEBHOOK_SECRETS: double.webhookSecret,
  }
  return { double, env }
}

async function createTable(endpoint: string): Promise<void> {
  const credentials = { accessKeyId: 'local', secretAccessKey: 'local' }
  const client = new DynamoDBClient({ endpoint, region: REGION, credentials })
  const exists = await client.send(new DescribeTableCommand({ TableName: TABLE })).catch((error: Error) => {
    if (error.name !== 'ResourceNotFoundException') throw error
  })
  if (!exists) {
    const { attributes, primary, indexes } = definition
    const schema = ({ hashKey, rangeKey }: { hashKey: string; rangeKey: string }) => [
      { AttributeName: hashKey, KeyType: 'HASH' as const },
      { AttributeName: rangeKey, KeyType: 'RANGE' as const },
    ]
    await client.send(
      new CreateTableCommand({
        TableName: TABLE,
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
