import { systemClock } from '../../core/adapters/clock.ts'
import { randomIds } from '../../core/adapters/ids.ts'
import type { Ports } from '../../core/ports.ts'
import type { Need } from './route.ts'

/**
 * The composition root, and the one place that reads the environment. Adapters load when a row needs them and
 * live as long as the container.
 */
const env = process.env

/** Values that only the local stack uses; finding one in a deployed function is a mistake in the deployment. */
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

/** An adapter that is loaded at its first call: its SDK is none of a container's start. */
function lazily<T extends object>(load: () => Promise<T>): T {
  let loaded: Promise<T> | undefined
  const call =
    (method: string | symbol) =>
    async (...args: unknown[]) => {
      loaded ??= load()
      const port = await loaded
      return Reflect.apply(Reflect.get(port as object, method), port, args)
    }
  // An object with a `then` would be taken for a promise by whoever awaits it.
  return new Proxy({} as T, { get: (_, method) => (method === 'then' ? undefined : call(method)) })
}

const adapters: { [N in Need]: () => Promise<Ports[N]> } = {
  table: async () => (await import('../../core/table/dynamodb.ts')).openTable(setting('TABLE_NAME')),
  identity: async () =>
    (await import('../../core/adapters/cognito.ts')).cognitoIdentity({
      userPoolId: setting('USER_POOL_ID'),
      clientId: setting('USER_POOL_CLIENT_ID'),
      clientSecret: setting('USER_POOL_CLIENT_SECRET'),
    }),
  mail: async () => (await import('../../core/adapters/ses.ts')).sesMail({ from: setting('MAIL_FROM') }),
  keyring: async () => (await import('../../core/adapters/keyring.ts')).keyring(setting('ROOT_SECRET')),
  // Most sign-ins have no second factor and never need it.
  secrets: async () =>
    lazily(async () =>
      (await import('../../core/adapters/kms.ts')).kmsSecrets({ keyId: setting('KMS_KEY_ID') }),
    ),
  totp: async () => (await import('../../core/adapters/totp.ts')).otpauthTotp('Bursar'),
  payments: async () =>
    lazily(async () =>
      (await import('../../core/adapters/stripe.ts')).stripePayments({
        secretKey: setting('STRIPE_SECRET_KEY'),
        ...(env.STRIPE_API_BASE !== undefined && { apiBase: env.STRIPE_API_BASE }),
      }),
    ),
  webhooks: async () => ({
    secrets: setting('STRIPE_WEBHOOK_SECRETS').split(','),
    livemode: setting('STRIPE_SECRET_KEY').startsWith('sk_live_'),
  }),
}

const opened = new Map<Need, Promise<Ports[Need]>>()

/** The ports that a row declares, and no other. @throws Error naming a setting that is missing. */
export async function live<N extends Need>(needs: readonly N[]): Promise<Pick<Ports, N | 'clock' | 'ids'>> {
  refuseLocalValuesWhenDeployed()
  const ports: Partial<Ports> = { clock: systemClock, ids: randomIds(systemClock) }
  for (const need of needs) {
    const port = opened.get(need) ?? adapters[need]()
    opened.set(need, port)
    Object.assign(ports, { [need]: await port })
  }
  return ports as Pick<Ports, N | 'clock' | 'ids'>
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
