import { systemClock } from '../../core/adapters/clock.ts'
import { randomIds } from '../../core/adapters/ids.ts'
import type { Ports } from '../../core/ports.ts'
import { patientPayments } from '../../core/purchases/rate-limit.ts'
import { keys } from '../../core/table/keys.ts'
import { modeOf, type StripeSetting, stripeMistake } from '../deploy/stripe-settings.ts'
import { requestLog } from './log.ts'
import type { Need } from './route.ts'

/**
 * The composition root, and the only module that reads the environment. Adapters load when a row needs them
 * and live as long as the container.
 */
const env = process.env

/** A mark in values of the local stack. A deployed function that finds one refuses to start. */
const LOCAL_MARK = 'Local0001'

function setting(name: string): string {
  const value = env[name]
  if (!value)
    throw new Error(`${name} is not set. Deploy with npm run deploy, or start the local stack: npm run dev.`)
  return value
}

/**
 * A setting that holds something of Stripe's. The deployment has checked it before; a value that was replaced since then
 * must not start either: with a test key customers of `production` would get units for cards that are never charged.
 */
function stripeSetting(name: StripeSetting, stage: string): string {
  const value = setting(name)
  const mistake = stripeMistake(name, value, modeOf(stage))
  if (!mistake) return value
  throw new Error(`${name} is ${mistake.is}. Set ${mistake.wanted}, and deploy again.`)
}

/** What our distribution adds to the requests that it passes on; undefined for a stage that has none. */
export const edgeSecret = (): string | undefined => env.EDGE_SECRET

/** Whether customers' requests have to come through our distribution. */
export const isClosed = (): boolean => env.API_ADDRESS === 'closed'

/**
 * Before this time every session is over, epoch ms; undefined where nothing was restored.
 * @throws Error if the setting is no time: then nobody gets in.
 */
export function sessionsSinceMs(): number | undefined {
  if (!env.SESSIONS_SINCE) return undefined
  const sinceMs = Date.parse(env.SESSIONS_SINCE)
  if (Number.isNaN(sinceMs)) throw new Error('SESSIONS_SINCE is not a time, such as 2026-11-21T12:00:00Z.')
  return sinceMs
}

function refuseLocalValuesWhenDeployed(): void {
  if (!env.AWS_LAMBDA_FUNCTION_NAME) return
  const local = Object.keys(env).find(
    (name) =>
      name.startsWith('AWS_ENDPOINT_URL') ||
      name === 'JWKS_URI' ||
      name === 'STRIPE_API_BASE' ||
      name === 'TURNSTILE_API_BASE' ||
      env[name]?.includes(LOCAL_MARK),
  )
  if (local) throw new Error(`${local} has a value of the local stack. Remove it from the deployment.`)
}

/**
 * An adapter that loads at its first call: the SDK does not load at cold start, but its settings are checked
 * then.
 * @param values the port's properties that are not methods.
 */
function lazily<C, T extends object>(
  config: C,
  load: (config: C) => Promise<T>,
  values: Partial<NoInfer<T>> = {},
): T {
  let loaded: Promise<T> | undefined
  const call =
    (method: string | symbol) =>
    async (...args: unknown[]) => {
      loaded ??= load(config)
      const port = await loaded
      return Reflect.apply(Reflect.get(port as object, method), port, args)
    }
  // `await` takes an object with a method `then` for a promise.
  const read = (own: T, name: string | symbol) =>
    Object.hasOwn(own, name) || name === 'then' ? Reflect.get(own, name) : call(name)
  return new Proxy(values as T, { get: read })
}

/** Region and credentials of this function, for our own clients of AWS. */
const caller = () => ({
  region: setting('AWS_REGION'),
  credentials: {
    accessKeyId: setting('AWS_ACCESS_KEY_ID'),
    secretAccessKey: setting('AWS_SECRET_ACCESS_KEY'),
    sessionToken: env.AWS_SESSION_TOKEN,
  },
})

const tableConfig = () => ({
  tableName: setting('TABLE_NAME'),
  endpoint: env.AWS_ENDPOINT_URL_DYNAMODB,
  ...caller(),
})

const vaultConfig = () => ({
  userPoolId: setting('USER_POOL_ID'),
  clientId: setting('USER_POOL_CLIENT_ID'),
  clientSecret: setting('USER_POOL_CLIENT_SECRET'),
})

const stripeConfig = () => ({
  secretKey: stripeSetting('STRIPE_SECRET_KEY', setting('STAGE')),
  ...(env.STRIPE_API_BASE !== undefined && { apiBase: env.STRIPE_API_BASE }),
})

type Adapters = { [N in Need]: () => Promise<Ports[N]> } & {
  tableInJobs: () => Promise<Ports['table']>
  identityInProofs: () => Promise<Ports['identity']>
  paymentsInJobs: () => Promise<Ports['payments']>
}

/**
 * Opens each port. `build.ts` removes the adapters that a function does not need from its bundle. A module in
 * `(await import(…)).name` loads when the container starts, a module in `import(…).then(…)` with the first
 * call.
 */
const adapters: Adapters = {
  tableInJobs: async () =>
    import('../../core/table/dynamodb.ts').then(({ openTable }) => openTable(setting('TABLE_NAME'))),
  table: async () => (await import('../../core/table/wire.ts')).openWireTable(tableConfig()),
  listing: async () => (await import('../../core/table/wire.ts')).openWireTable(tableConfig()),
  identity: async () => (await import('../../core/adapters/cognito.ts')).cognitoIdentity(vaultConfig()),
  // Only requests that bring a proof call the vault.
  identityInProofs: async () =>
    lazily(vaultConfig(), (config) =>
      import('../../core/adapters/cognito.ts').then(({ cognitoIdentity }) => cognitoIdentity(config)),
    ),
  // Mail is the last step of a request, and its client is large.
  mail: async () =>
    lazily(
      {
        from: setting('MAIL_FROM'),
        configurationSet: setting('MAIL_CONFIGURATION_SET'),
        appUrl: setting('APP_URL'),
        appName: setting('APP_NAME'),
      },
      (config) => import('../../core/adapters/ses.ts').then(({ sesMail }) => sesMail(config)),
      { appUrl: setting('APP_URL'), appName: setting('APP_NAME') },
    ),
  keyring: async () => (await import('../../core/adapters/keyring.ts')).openKeyring(setting('KEYRING')),
  // Only accounts with a second factor need KMS, and most have none.
  secrets: async () =>
    lazily({ keyId: setting('KMS_KEY_ID') }, (config) =>
      import('../../core/adapters/kms.ts').then(({ kmsSecrets }) => kmsSecrets(config)),
    ),
  // Only requests that bring a passkey need the library, which is large.
  passkeys: async () =>
    lazily({ appUrl: setting('APP_URL') }, (config) =>
      import('../../core/adapters/webauthn.ts').then(({ webauthnPasskeys }) => webauthnPasskeys(config)),
    ),
  // Only the first sign-in of an imported account verifies a hash.
  passwordHashes: async () =>
    lazily({}, () =>
      import('../../core/adapters/password-hashes.ts').then((module) => module.passwordHashes),
    ),
  // Only a new address needs the list of disposable domains.
  mailDomains: async () =>
    lazily({}, () => import('../../core/adapters/mail-domains.ts').then((module) => module.mailDomains)),
  relyingParty: async () => ({ id: new URL(setting('APP_URL')).hostname, name: setting('APP_NAME') }),
  deployment: async () => ({
    appName: setting('APP_NAME'),
    publishableKey: stripeSetting('STRIPE_PUBLISHABLE_KEY', setting('STAGE')),
    ...JSON.parse(setting('PAGE_SETTINGS')),
  }),
  totp: async () => (await import('../../core/adapters/totp.ts')).otpauthTotp(setting('APP_NAME')),
  // Most requests that may need Stripe are refused or answered before they call it.
  payments: async () =>
    lazily(stripeConfig(), (config) =>
      import('../../core/adapters/stripe.ts').then(({ stripePayments }) =>
        patientPayments(stripePayments(config), systemClock),
      ),
    ),
  // Jobs do not wait a moment for a busy Stripe: they slow down together.
  paymentsInJobs: async () =>
    lazily(stripeConfig(), (config) =>
      import('../../core/adapters/stripe.ts').then(({ stripePayments }) => stripePayments(config)),
    ),
  // A key of another mode than the stage's does not start: `stripeSetting`.
  paymentScope: async () => ({ livemode: modeOf(setting('STAGE')) === 'live', stage: setting('STAGE') }),
  webhookSecrets: async () => stripeSetting('STRIPE_WEBHOOK_SECRETS', setting('STAGE')).split(','),
  renewals: async () =>
    (await import('../../core/adapters/lambda-renewals.ts')).lambdaRenewals({
      functionName: setting('RENEWAL_FUNCTION'),
      endpoint: env.AWS_ENDPOINT_URL_LAMBDA,
      ...caller(),
    }),
  events: async () =>
    (await import('../../core/adapters/event-bus.ts')).eventBridgeBus({
      busName: setting('EVENT_BUS'),
      endpoint: env.AWS_ENDPOINT_URL_EVENTBRIDGE,
      ...caller(),
    }),
  // Most requests are far from any limit, so nobody asks for an answer.
  challenge: async () => {
    const { TURNSTILE_SITE_KEY: siteKey, TURNSTILE_SECRET_KEY: secretKey, TURNSTILE_API_BASE: apiBase } = env
    if (!siteKey) return { siteKey: undefined, verify: async () => true }
    if (!secretKey) throw new Error('TURNSTILE_SECRET_KEY is not set. Deploy with npm run deploy.')
    return lazily<{ secretKey: string; apiBase: string | undefined }, Ports['challenge']>(
      { secretKey, apiBase },
      (config) =>
        import('../../core/adapters/turnstile.ts').then(({ turnstileChallenge }) => ({
          siteKey,
          ...turnstileChallenge(config),
        })),
      { siteKey },
    )
  },
  hooks: async () =>
    (await import('../../core/adapters/hook-sender.ts')).hookSender({
      mayBeLocal: env.AWS_LAMBDA_FUNCTION_NAME === undefined,
    }),
}

const opened = new Map<keyof Adapters, Promise<Ports[Need]>>()

function open(adapter: keyof Adapters): Promise<Ports[Need]> {
  const port = opened.get(adapter) ?? adapters[adapter]()
  opened.set(adapter, port)
  return port
}

/**
 * The end of the names of the adapters that jobs, or the guard of a recent proof, use instead. Endpoints have a DynamoDB client of our own,
 * which starts faster than AWS's, because callers wait for them; both clients pass the same tests.
 */
export type AdaptersOf = '' | 'InJobs' | 'InProofs'

/**
 * Opens only the ports that a row declares.
 * @throws Error that names a setting, if it is missing or belongs to the local stack.
 */
export async function live<N extends Need>(
  needs: readonly N[],
  suffix: AdaptersOf = '',
): Promise<Pick<Ports, N | 'clock' | 'ids' | 'log'>> {
  refuseLocalValuesWhenDeployed()
  const ports: Partial<Ports> = {
    clock: systemClock,
    ids: randomIds(systemClock),
    log: requestLog.within({}),
  }
  const openOne = async (need: N) => {
    const own = (need + suffix) as Need
    Object.assign(ports, { [need]: await open(own in adapters ? own : need) })
  }
  await Promise.all(needs.map(openOne))
  return ports as Pick<Ports, N | 'clock' | 'ids' | 'log'>
}

const WARMING_MS = 2_000

/**
 * Resolves when every requested port has opened or failed to open. On Lambda it then calls `warm`, so that
 * the first request finds connections and code ready. By default `warm` reads an item of the table that does
 * not exist.
 */
export async function ready(warm: () => Promise<unknown> = readNothing): Promise<void> {
  await Promise.allSettled(opened.values())
  if (!env.AWS_LAMBDA_INITIALIZATION_TYPE) return
  const limit = new Promise((resolve) => setTimeout(resolve, WARMING_MS).unref())
  // An error here is ignored: the first request meets it again and logs it.
  await Promise.race([warm(), limit]).catch(() => undefined)
}

async function readNothing(): Promise<void> {
  const table = await opened.get('table')
  if (table) await (table as Ports['table']).get(keys.profile('0'))
}

/**
 * The user pool and client whose access tokens the authorizer admits. Only the local stack sets `jwksUri`.
 */
export function tokenSource(): { userPoolId: string; clientId: string; jwksUri: string | undefined } {
  refuseLocalValuesWhenDeployed()
  return {
    userPoolId: setting('USER_POOL_ID'),
    clientId: setting('USER_POOL_CLIENT_ID'),
    jwksUri: env.JWKS_URI,
  }
}
