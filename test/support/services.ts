import { addService, revokeService } from '../../core/keys/services.ts'
import type { App } from './app.ts'
import type { TestAnswer } from './send.ts'

let made = 0

/** A service of the operator. */
export interface TestService {
  name: string
  credential: string
}

export const newServiceName = (): string => `service-${String(++made).padStart(4, '0')}`

/** Makes a service with a name of its own. */
export async function newService(app: App): Promise<TestService> {
  const name = newServiceName()
  return { name, credential: (await addService(await app.ports(), name)).credential }
}

export const revoke = async (app: App, { name }: TestService) => revokeService(await app.ports(), name)

/** The headers of a request with a service's credential, which names a customer. */
export const asService = (
  { credential }: TestService,
  named: { key?: string; account?: string; ip?: string } = {},
): Record<string, string> => ({
  authorization: `Bearer ${credential}`,
  ...Object.fromEntries(Object.entries(named).map(([name, text]) => [`x-bursar-${name}`, text])),
})

/** Spends units as a service. */
export const spendAs = (
  app: App,
  service: TestService,
  named: Parameters<typeof asService>[1],
  json: unknown = { units: 1 },
): Promise<TestAnswer> => app.request('POST', '/v1/usage', { headers: asService(service, named), json })

/** Sends a batch as a service. */
export const batchAs = (
  app: App,
  service: TestService,
  requests: unknown,
  headers: Record<string, string> = {},
): Promise<TestAnswer> =>
  app.request('POST', '/v1/usage/batch', {
    headers: { ...asService(service), ...headers },
    json: { requests },
  })
