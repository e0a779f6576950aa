import type { Need } from '../http/route.ts'
import type { Deployed } from './functions.ts'

/** A resource by what it is for; the deployment knows its ARN. */
export type Resource =
  | 'table'
  | 'dueIndex'
  | 'tableKey'
  | 'userPool'
  | 'secretsKey'
  | 'mailIdentity'
  | 'deadLetters'

/** One IAM statement: these actions on these resources, under these conditions. */
export interface Grant {
  actions: readonly string[]
  on: readonly Resource[]
  when?: readonly Condition[]
}

/** A value in angle brackets is the deployment's to fill in. */
export interface Condition {
  test: string
  variable: string
  values: readonly string[]
}

/** A transaction's writes need the permission of each, and ConditionCheckItem for its checks. */
const tableActions: Record<Deployed['table'], readonly string[]> = {
  read: ['GetItem', 'Query'],
  write: ['GetItem', 'Query', 'PutItem', 'UpdateItem', 'DeleteItem', 'ConditionCheckItem'],
  spend: ['GetItem', 'Query', 'PutItem', 'UpdateItem', 'BatchWriteItem'],
  work: ['GetItem', 'Query', 'PutItem', 'UpdateItem', 'DeleteItem', 'ConditionCheckItem', 'BatchWriteItem'],
}

/** What an application key can reach: accounts and the look-up of keys; no address, no name, no mailed code. */
const spendsOn: Condition = {
  test: 'ForAllValues:StringLike',
  variable: 'dynamodb:LeadingKeys',
  values: ['ACCOUNT#*', 'APIKEY#*'],
}

const readsKey = ['kms:Decrypt', 'kms:DescribeKey']
const writesKey = ['kms:Encrypt', 'kms:GenerateDataKey', 'kms:ReEncryptFrom', 'kms:ReEncryptTo']

function tableGrants({ table }: Deployed): Grant[] {
  const actions = tableActions[table].map((action) => `dynamodb:${action}`)
  const grants: Grant[] = [{ actions, on: ['table'], ...(table === 'spend' && { when: [spendsOn] }) }]
  if (table === 'work') grants.push({ actions: ['dynamodb:Query'], on: ['dueIndex'] })
  // The table is encrypted with our own key, and DynamoDB uses it in the caller's name.
  grants.push({
    actions: table === 'read' ? readsKey : [...readsKey, ...writesKey],
    on: ['tableKey'],
    when: [{ test: 'StringEquals', variable: 'kms:ViaService', values: ['<dynamodb>'] }],
  })
  return grants
}

/** What each port calls. Those that are absent call nothing of AWS. */
const portGrants: Partial<Record<Need, Grant>> = {
  identity: {
    // Refreshing and revoking tokens take the client's secret and no permission.
    actions: [
      'cognito-idp:AdminCreateUser',
      'cognito-idp:AdminDeleteUser',
      'cognito-idp:AdminInitiateAuth',
      'cognito-idp:AdminSetUserPassword',
      'cognito-idp:AdminUserGlobalSignOut',
    ],
    on: ['userPool'],
  },
  mail: {
    actions: ['ses:SendEmail'],
    on: ['mailIdentity'],
    when: [{ test: 'StringEquals', variable: 'ses:FromAddress', values: ['<mailAddress>'] }],
  },
  secrets: {
    actions: ['kms:Decrypt', 'kms:Encrypt'],
    on: ['secretsKey'],
    when: [{ test: 'ForAnyValue:StringEquals', variable: 'kms:EncryptionContextKeys', values: ['account'] }],
  },
}

/** What a function may do, beside writing its own log. */
export function grantsOf(deployed: Deployed): Grant[] {
  const { kind, needs } = deployed
  return [
    ...(needs.includes('table') ? tableGrants(deployed) : []),
    ...needs.flatMap((need) => portGrants[need] ?? []),
    ...(kind === 'job' || kind === 'subscriber'
      ? [{ actions: ['sqs:SendMessage'], on: ['deadLetters' as const] }]
      : []),
  ]
}

/** The environment that `live.ts` reads. */
export type Setting =
  | 'TABLE_NAME'
  | 'USER_POOL_ID'
  | 'USER_POOL_CLIENT_ID'
  | 'USER_POOL_CLIENT_SECRET'
  | 'MAIL_FROM'
  | 'APP_URL'
  | 'ROOT_SECRET'
  | 'KMS_KEY_ID'
  | 'STRIPE_SECRET_KEY'
  | 'STRIPE_WEBHOOK_SECRETS'

const settingsByNeed: Record<Need, readonly Setting[]> = {
  table: ['TABLE_NAME'],
  identity: ['USER_POOL_ID', 'USER_POOL_CLIENT_ID', 'USER_POOL_CLIENT_SECRET'],
  mail: ['MAIL_FROM', 'APP_URL'],
  keyring: ['ROOT_SECRET'],
  secrets: ['KMS_KEY_ID'],
  totp: [],
  payments: ['STRIPE_SECRET_KEY'],
  webhooks: ['STRIPE_WEBHOOK_SECRETS', 'STRIPE_SECRET_KEY'],
}

/** The names of what a function finds in its environment, no other. */
export function environmentOf({ kind, needs }: Deployed): Setting[] {
  const tokens: Setting[] = kind === 'authorizer' ? ['USER_POOL_ID', 'USER_POOL_CLIENT_ID'] : []
  return [...new Set([...tokens, ...needs.flatMap((need) => settingsByNeed[need])])]
}
