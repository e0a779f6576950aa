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
    (name) => name.startsWith('AWS_ENDPOINT_URL') || name === 'JWKS_URI' || env[name]?.includes(LOCAL_MARK),
  )
  if (local) throw new Error(`${local} has a value of the local stack. Remove it from the deployment.`)
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
  secrets: async () =>
    (await import('../../core/adapters/kms.ts')).kmsSecrets({ keyId: setting('KMS_KEY_ID') }),
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
