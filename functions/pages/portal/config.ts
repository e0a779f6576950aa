import type { Endpoints } from 'bursar/client'
import { client } from './session.ts'

/** What the deployment says of itself: name, bundles, rules, colours. */
export type Config = Endpoints['service.config']['answer']

let reading: Promise<Config> | undefined

/** Read once for all pages; after a failure again. */
export function config(): Promise<Config> {
  reading ??= client.service.config().catch((error) => {
    reading = undefined
    throw error
  })
  return reading
}
