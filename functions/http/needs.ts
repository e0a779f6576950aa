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
   * Permissions for the adapter's calls to AWS, by the port's method; a method without any is left out. A function gets
   * those of the methods that its code can reach (`functions/deploy/calls.ts`).
   */
  grants: Readonly<Record<string, readonly Grant[]>>
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

/** A call to the table itself, in the partitions that the function's code names. */
const toTable = (action: string): readonly Grant[] => [{ actions: [`dynamodb:${action}`], on: ['table'] }]

const toPool = (...actions: string[]): readonly Grant[] => [
  { actions: actions.map((action) => `cognito-idp:${action}`), on: ['userPool'] },
]

/** A call about a secret of an account, whose id KMS checks. */
const forAccount = (action: string): readonly Grant[] => [
  {
    actions: [action],
    on: ['secretsKey'],
    when: [{ test: 'ForAnyValue:StringEquals', variable: 'kms:EncryptionContextKeys', values: ['account'] }],
  },
]

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
      get: toTable('GetItem'),
      getAll: toTable('BatchGetItem'),
      list: toTable('Query'),
      page: toTable('Query'),
      put: toTable('PutItem'),
      putAll: toTable('BatchWriteItem'),
      update: toTable('UpdateItem'),
      remove: toTable('DeleteItem'),
      // Only in transactions. Each of a transaction's writes takes the permission of its kind.
      check: toTable('ConditionCheckItem'),
      due: [{ actions: ['dynamodb:Query'], on: ['dueIndex'] }],
    },
    callsOut: false,
    bigClient: false,
    adapters: { endpoint: 'table', background: 'tableInJobs' },
  },
  listing: {
    settings: ['TABLE_NAME'],
    // Whoever lists also needs the table, and with it its key.
    grants: { listed: [{ actions: ['dynamodb:Query'], on: ['listedIndex'] }] },
    callsOut: false,
    bigClient: false,
  },
  identity: {
    settings: ['USER_POOL_ID', 'USER_POOL_CLIENT_ID', 'USER_POOL_CLIENT_SECRET'],
    // Refreshing and revoking tokens needs the client's secret but no permission.
    grants: {
      enroll: toPool('AdminCreateUser', 'AdminSetUserPassword'),
      signIn: toPool('AdminInitiateAuth'),
      signInVerified: toPool('AdminInitiateAuth', 'AdminRespondToAuthChallenge'),
      setPassword: toPool('AdminSetUserPassword'),
      remove: toPool('AdminDeleteUser'),
    },
    callsOut: true,
    bigClient: true,
  },
  mail: {
    settings: ['MAIL_FROM', 'MAIL_CONFIGURATION_SET', 'APP_URL', 'APP_NAME'],
    grants: {
      send: [
        { actions: ['ses:SendEmail'], on: ['mailIdentity'], when: [asOurSender] },
        // SES asks for the configuration set of a mail, too. Without the identity this permits nothing.
        { actions: ['ses:SendEmail'], on: ['mailConfigurationSet'] },
      ],
    },
    callsOut: true,
    bigClient: true,
  },
  keyring: { settings: ['KEYRING'], grants: {}, callsOut: false, bigClient: false },
  secrets: {
    settings: ['KMS_KEY_ID'],
    grants: { encrypt: forAccount('kms:Encrypt'), decrypt: forAccount('kms:Decrypt') },
    callsOut: true,
    bigClient: true,
  },
  relyingParty: { settings: ['APP_URL', 'APP_NAME'], grants: {}, callsOut: false, bigClient: false },
  deployment: {
    settings: ['APP_NAME', 'STRIPE_PUBLISHABLE_KEY', 'STAGE', 'PAGE_SETTINGS'],
    grants: {},
    callsOut: false,
    bigClient: false,
  },
  // The library is large, and only requests that bring a passkey load it.
  passkeys: { settings: ['APP_URL'], grants: {}, callsOut: false, bigClient: true },
  // The list is only read for an address whose domain no operator has decided about.
  mailDomains: { settings: [], grants: {}, callsOut: false, bigClient: true },
  // Only the first sign-in of an imported account needs the library for bcrypt.
  passwordHashes: { settings: [], grants: {}, callsOut: true, bigClient: true },
  totp: { settings: ['APP_NAME'], grants: {}, callsOut: false, bigClient: false },
  payments: {
    settings: ['STRIPE_SECRET_KEY', 'STAGE'],
    grants: {},
    callsOut: true,
    bigClient: true,
    adapters: { endpoint: 'payments', background: 'paymentsInJobs' },
  },
  paymentScope: { settings: ['STAGE'], grants: {}, callsOut: false, bigClient: false },
  // Whoever has a secret can make events up, so only the function that checks them has it.
  webhookSecrets: {
    settings: ['STRIPE_WEBHOOK_SECRETS', 'STAGE'],
    grants: {},
    callsOut: false,
    bigClient: false,
  },
  renewals: {
    settings: ['RENEWAL_FUNCTION'],
    grants: { start: [{ actions: ['lambda:InvokeFunction'], on: ['renewalFunction'] }] },
    // The call ends within a second, whatever Lambda answers.
    callsOut: false,
    bigClient: false,
  },
  events: {
    settings: ['EVENT_BUS'],
    grants: { publish: [{ actions: ['events:PutEvents'], on: ['eventBus'] }] },
    callsOut: true,
    bigClient: false,
  },
  hooks: { settings: [], grants: {}, callsOut: true, bigClient: false },
  // Its settings are there only where a deployment uses it: `permissions.ts`.
  challenge: { settings: [], grants: {}, callsOut: true, bigClient: true },
} as const satisfies Record<Need, PortFacts>

/** The settings of every port; `sst.config.ts` has a value for each. */
export type Setting = (typeof needs)[Need]['settings'][number]

/** The facts about a port. */
export const factsOf = (need: Need): PortFacts & { settings: readonly Setting[] } => needs[need]
