import { systemClock } from '../../core/adapters/clock.ts'
import { randomIds } from '../../core/adapters/ids.ts'
import type { Ports } from '../../core/ports.ts'
import { keys } from '../../core/table/keys.ts'
import { requestLog } from './log.ts'
import type { Need } from './route.ts'

/**
 * The composition root, and the one place that reads the environment. Adapters load when a row needs them and
 * live as long as the container.
 */
const env = process.env

/** A mark in values of the local stack. A deployed function that finds one refuses to start. */
const LOCAL_MARK = 'Local0001'

function setting(name: string): string {
  const value = env[name]
  if (!value)
    throw new Error(`${name} is not set. Deploy with sst, or start the local stack with npm run dev.`)
  return value
}

function refuseLocalValuesWhenDeployed(): void {
  if (!env.AWS_LAMBDA_FUNCTION_NAME) return
  const local = Object.keys(env).find(
    (name) =>
      name.startsWith('AWS_ENDPOINT_URL') ||
      name === 'JWKS_URI' ||
      name === 'STRIPE_API_BASE' ||
      env[name]?.includes(LOCAL_MARK),
  )
  if (local) throw new Error(`${local} has a value of the local stack. Remove it from the deployment.`)
}

/**
 * An adapter that is loaded at its first call: the SDK is not loaded at cold start, but its settings are checked.
 * `values` are what the port has besides methods.
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
  // `await` takes an object with a `then` for a promise.
  const read = (own: T, name: string | symbol) =>
    Object.hasOwn(own, name) || name === 'then' ? Reflect.get(own, name) : call(name)
  return new Proxy(values as T, { get: read })
}

type Adapters = { [N in Need]: () => Promise<Ports[N]> } & { wireTable: () => Promise<Ports['table']> }

/**
 * Opens each port. `build.ts` takes the adapters out of a bundle that its function does not need. What is written
 * as `(await import(…)).name` loads when the container starts, what is written as `import(…).then(…)` with the
 * first call.
 */
const adapters: Adapters = {
  table: async () =>
    import('../../core/table/dynamodb.ts').then(({ openTable }) => openTable(setting('TABLE_NAME'))),
  wireTable: async () =>
    (await import('../../core/table/wire.ts')).openWireTable({
      tableName: setting('TABLE_NAME'),
      region: setting('AWS_REGION'),
      endpoint: env.AWS_ENDPOINT_URL_DYNAMODB,
      credentials: {
        accessKeyId: setting('AWS_ACCESS_KEY_ID'),
        secretAccessKey: setting('AWS_SECRET_ACCESS_KEY'),
        sessionToken: env.AWS_SESSION_TOKEN,
      },
    }),
  identity: async () =>
    (await import('../../core/adapters/cognito.ts')).cognitoIdentity({
      userPoolId: setting('USER_POOL_ID'),
      clientId: setting('USER_POOL_CLIENT_ID'),
      clientSecret: setting('USER_POOL_CLIENT_SECRET'),
    }),
  // Mail is the last step of a request, and its client is large.
  mail: async () =>
    lazily(
      { from: setting('MAIL_FROM'), appUrl: setting('APP_URL') },
      (config) => import('../../core/adapters/ses.ts').then(({ sesMail }) => sesMail(config)),
      { appUrl: setting('APP_URL') },
    ),
  keyring: async () => (await import('../../core/adapters/keyring.ts')).openKeyring(setting('ROOT_SECRET')),
  // Most sign-ins have no second factor and never need KMS.
  secrets: async () =>
    lazily({ keyId: setting('KMS_KEY_ID') }, (config) =>
      import('../../core/adapters/kms.ts').then(({ kmsSecrets }) => kmsSecrets(config)),
    ),
  totp: async () => (await import('../../core/adapters/totp.ts')).otpauthTotp('Bursar'),
  // Most requests that may need Stripe are refused or answered without it.
  payments: async () =>
    lazily(
      {
        secretKey: setting('STRIPE_SECRET_KEY'),
        ...(env.STRIPE_API_BASE !== undefined && { apiBase: env.STRIPE_API_BASE }),
      },
      (config) =>
        import('../../core/adapters/stripe.ts').then(({ stripePayments }) => stripePayments(config)),
    ),
  webhooks: async () => ({
    secrets: setting('STRIPE_WEBHOOK_SECRETS').split(','),
    // A restricted key (rk_…) has a mode as a secret key has.
    livemode: /^[sr]k_live_/.test(setting('STRIPE_SECRET_KEY')),
  }),
}

const opened = new Map<keyof Adapters, Promise<Ports[Need]>>()

function open(adapter: keyof Adapters): Promise<Ports[Need]> {
  const port = opened.get(adapter) ?? adapters[adapter]()
  opened.set(adapter, port)
  return port
}

/**
 * `wire` is our own DynamoDB client, which starts fast; requests use it. Jobs use AWS's client. Both pass the same
 * tests.
 */
export type TableClient = 'wire' | 'aws'

/** The ports that a row declares, and no other. @throws Error naming a setting that is missing. */
export async function live<N extends Need>(
  needs: readonly N[],
  tableClient: TableClient = 'aws',
): Promise<Pick<Ports, N | 'clock' | 'ids' | 'log'>> {
  refuseLocalValuesWhenDeployed()
  const ports: Partial<Ports> = {
    clock: systemClock,
    ids: randomIds(systemClock),
    log: requestLog.within({}),
  }
  const open1 = async (need: N) => {
    const adapter = need === 'table' && tableClient === 'wire' ? 'wireTable' : need
    Object.assign(ports, { [need]: await open(adapter) })
  }
  await Promise.all(needs.map(open1))
  return ports as Pick<Ports, N | 'clock' | 'ids' | 'log'>
}

const WARMING_MS = 2_000

/**
 * Resolves once every requested port is open or has failed to open. On Lambda it also makes a first request to the
 * table, for an item that does not exist, or calls `warm`, so that connections and code are ready.
 */
export async function ready(warm: () => Promise<unknown> = readNothing): Promise<void> {
  await Promise.allSettled(opened.values())
  if (!env.AWS_LAMBDA_INITIALIZATION_TYPE) return
  const limit = new Promise((resolve) => setTimeout(resolve, WARMING_MS).unref())
  // The first request meets the same failure and reports it.
  await Promise.race([warm(), limit]).catch(() => undefined)
}

async function readNothing(): Promise<void> {
  const table = await (opened.get('table') ?? opened.get('wireTable'))
  if (table) await (table as Ports['table']).get(keys.profile('0'))
}

/** What the authorizer checks access tokens against. `jwksUri` is set by the local stack only. */
export function tokenSource(): { userPoolId: string; clientId: string; jwksUri: string | undefined } {
  refuseLocalValuesWhenDeployed()
  return {
    userPoolId: setting('USER_POOL_ID'),
    clientId: setting('USER_POOL_CLIENT_ID'),
    jwksUri: env.JWKS_URI,
  }
}
