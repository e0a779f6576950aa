import type { Need } from './route.ts'

/**
 * Everything that the deployment has to know about each port, as data. `functions/deploy/` derives
 * environment, permissions, time-outs and bundles from these facts; a function itself never loads them. The
 * port's interface is in `core/ports.ts` and its adapter in `live.ts`.
 */
interface PortFacts {
  /** Names of the settings that the adapter reads from the environment. */
  settings: readonly string[]
  /**
   * Permissions for the adapter's calls to AWS. Those for the table depend on how the function uses the
   * table.
   */
  grants: readonly Grant[] | Readonly<Record<TableUse, readonly Grant[]>>
  /** Whether a call may take seconds, as calls to other services do. DynamoDB answers in milliseconds. */
  callsOut: boolean
  /** Whether the client is so big that it loads with the first call, from a file of its own. */
  bigClient: boolean
  /**
   * The names of the port's adapters in `live.ts`, if endpoints and background work use different ones.
   * Otherwise the adapter has the name of the port.
   */
  adapters?: { endpoint: string; background: string }
}

/** What a function does with the table. */
export type TableUse = 'read' | 'write' | 'spend' | 'work'

/** One IAM statement: these actions on these resources, under these conditions. */
export interface Grant {
  actions: readonly string[]
  on: readonly Resource[]
  when?: readonly Condition[]
}

/** A resource by its purpose; the deployment knows its ARN. */
export type Resource =
  | 'table'
  | 'dueIndex'
  | 'listedIndex'
  | 'tableKey'
  | 'userPool'
  | 'secretsKey'
  | 'mailIdentity'
  | 'mailConfigurationSet'
  | 'deadLetters'
  | 'renewalFunction'
  | 'eventBus'

/** A condition of IAM. The deployment replaces values in angle brackets. */
export interface Condition {
  test: string
  variable: string
  values: readonly string[]
}

const READS = ['dynamodb:GetItem', 'dynamodb:Query']
/** A transaction needs the permission for each of its writes, and ConditionCheckItem for its checks. */
const WRITES = [
  ...READS,
  'dynamodb:PutItem',
  'dynamodb:UpdateItem',
  'dynamodb:DeleteItem',
  'dynamodb:ConditionCheckItem',
]
const SPENDS = [...READS, 'dynamodb:PutItem', 'dynamodb:UpdateItem', 'dynamodb:BatchWriteItem']

/**
 * A request with an application key reaches accounts and the look-up of keys, but no e-mail address, username
 * or mailed code.
 */
const accountsAndKeys: Condition = {
  test: 'ForAllValues:StringLike',
  variable: 'dynamodb:LeadingKeys',
  values: ['ACCOUNT#*', 'APIKEY#*'],
}

/** It reads to which service a credential belongs, and can make none. */
const services: Condition = {
  test: 'ForAllValues:StringLike',
  variable: 'dynamodb:LeadingKeys',
  values: ['SERVICE#*'],
}

const READS_KEY = ['kms:Decrypt', 'kms:DescribeKey']
const WRITES_KEY = [
  ...READS_KEY,
  'kms:Encrypt',
  'kms:GenerateDataKey',
  'kms:ReEncryptFrom',
  'kms:ReEncryptTo',
]

/** The table is encrypted with a KMS key of ours, which DynamoDB uses with the permissions of the caller. */
const tableKey = (actions: readonly string[]): Grant => ({
  actions,
  on: ['tableKey'],
  when: [{ test: 'StringEquals', variable: 'kms:ViaService', values: ['<dynamodb>'] }],
})

/** Mail may only be sent in the name of the configured sender. */
const asOurSender: Condition = {
  test: 'StringEquals',
  variable: 'ses:FromAddress',
  values: ['<mailAddress>'],
}

export const needs = {
  table: {
    settings: ['TABLE_NAME'],
    grants: {
      read: [{ actions: READS, on: ['table'] }, tableKey(READS_KEY)],
      write: [{ actions: WRITES, on: ['table'] }, tableKey(WRITES_KEY)],
      spend: [
        { actions: SPENDS, on: ['table'], when: [accountsAndKeys] },
        { actions: ['dynamodb:GetItem'], on: ['table'], when: [services] },
        tableKey(WRITES_KEY),
      ],
      work: [
        { actions: [...WRITES, 'dynamodb:BatchGetItem', 'dynamodb:BatchWriteItem'], on: ['table'] },
        { actions: ['dynamodb:Query'], on: ['dueIndex'] },
        tableKey(WRITES_KEY),
      ],
    },
    callsOut: false,
    bigClient: false,
    adapters: { endpoint: 'table', background: 'tableInJobs' },
  },
  listing: {
    settings: ['TABLE_NAME'],
    // Whoever lists also needs the table, and with it its key.
    grants: [{ actions: ['dynamodb:Query'], on: ['listedIndex'] }],
    callsOut: false,
    bigClient: false,
  },
  identity: {
    settings: ['USER_POOL_ID', 'USER_POOL_CLIENT_ID', 'USER_POOL_CLIENT_SECRET'],
    grants: [
      {
        // Refreshing and revoking tokens needs the client's secret but no permission.
        actions: [
          'cognito-idp:AdminCreateUser',
          'cognito-idp:AdminDeleteUser',
          'cognito-idp:AdminInitiateAuth',
          'cognito-idp:AdminRespondToAuthChallenge',
          'cognito-idp:AdminSetUserPassword',
          'cognito-idp:AdminUserGlobalSignOut',
        ],
        on: ['userPool'],
      },
    ],
    callsOut: true,
    bigClient: true,
  },
  mail: {
    settings: ['MAIL_FROM', 'MAIL_CONFIGURATION_SET', 'APP_URL', 'APP_NAME'],
    grants: [
      { actions: ['ses:SendEmail'], on: ['mailIdentity'], when: [asOurSender] },
      // SES asks for the configuration set of a mail, too. Without the identity this permits nothing.
      { actions: ['ses:SendEmail'], on: ['mailConfigurationSet'] },
    ],
    callsOut: true,
    bigClient: true,
  },
  keyring: { settings: ['KEYRING'], grants: [], callsOut: false, bigClient: false },
  secrets: {
    settings: ['KMS_KEY_ID'],
    grants: [
      {
        actions: ['kms:Decrypt', 'kms:Encrypt'],
        on: ['secretsKey'],
        when: [
          {
            test: 'ForAnyValue:StringEquals',
            variable: 'kms:EncryptionContextKeys',
            values: ['account'],
          },
        ],
      },
    ],
    callsOut: true,
    bigClient: true,
  },
  relyingParty: { settings: ['APP_URL', 'APP_NAME'], grants: [], callsOut: false, bigClient: false },
  deployment: {
    settings: ['APP_NAME', 'STRIPE_PUBLISHABLE_KEY', 'STAGE', 'PAGE_SETTINGS'],
    grants: [],
    callsOut: false,
    bigClient: false,
  },
  // The library is large, and only requests that bring a passkey load it.
  passkeys: { settings: ['APP_URL'], grants: [], callsOut: false, bigClient: true },
  // The list is only read for an address whose domain no operator has decided about.
  mailDomains: { settings: [], grants: [], callsOut: false, bigClient: true },
  // Only the first sign-in of an imported account needs the library for bcrypt.
  passwordHashes: { settings: [], grants: [], callsOut: true, bigClient: true },
  totp: { settings: ['APP_NAME'], grants: [], callsOut: false, bigClient: false },
  payments: {
    settings: ['STRIPE_SECRET_KEY', 'STAGE'],
    grants: [],
    callsOut: true,
    bigClient: true,
    adapters: { endpoint: 'payments', background: 'paymentsInJobs' },
  },
  paymentScope: { settings: ['STAGE'], grants: [], callsOut: false, bigClient: false },
  // Whoever has a secret can make events up, so only the function that checks them has it.
  webhookSecrets: {
    settings: ['STRIPE_WEBHOOK_SECRETS', 'STAGE'],
    grants: [],
    callsOut: false,
    bigClient: false,
  },
  renewals: {
    settings: ['RENEWAL_FUNCTION'],
    grants: [{ actions: ['lambda:InvokeFunction'], on: ['renewalFunction'] }],
    // The call ends within a second, whatever Lambda answers.
    callsOut: false,
    bigClient: false,
  },
  events: {
    settings: ['EVENT_BUS'],
    grants: [{ actions: ['events:PutEvents'], on: ['eventBus'] }],
    callsOut: true,
    bigClient: false,
  },
  hooks: { settings: [], grants: [], callsOut: true, bigClient: false },
  // Its settings are there only where a deployment uses it: `permissions.ts`.
  challenge: { settings: [], grants: [], callsOut: true, bigClient: true },
} as const satisfies Record<Need, PortFacts>

/** The settings of every port; `sst.config.ts` has a value for each. */
export type Setting = (typeof needs)[Need]['settings'][number]

/** The facts about a port. */
export const factsOf = (need: Need): PortFacts & { settings: readonly Setting[] } => needs[need]
