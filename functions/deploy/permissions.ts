import { factsOf, type Grant, type Setting } from '../http/needs.ts'
import type { Need } from '../http/route.ts'
import { type Deployed, isBackground } from './functions.ts'

/** The permissions of a function, besides that to write its own log. */
export function grantsOf(deployed: Deployed): Grant[] {
  const { needs, table } = deployed
  const ofPort = (need: Need): readonly Grant[] => {
    const { grants } = factsOf(need)
    return 'read' in grants ? grants[table] : grants
  }
  return [
    ...needs.flatMap(ofPort),
    ...(isBackground(deployed) ? [{ actions: ['sqs:SendMessage'], on: ['deadLetters' as const] }] : []),
  ]
}

/** The names of all settings in a function's environment that its ports read. */
export function environmentOf({ kind, needs }: Deployed): Setting[] {
  const tokens: Setting[] = kind === 'authorizer' ? ['USER_POOL_ID', 'USER_POOL_CLIENT_ID'] : []
  return [...new Set([...tokens, ...needs.flatMap((need) => factsOf(need).settings)])]
}

/** Whether a function may ask people to show that they are no program, and then has the two settings of Turnstile. */
export const asksForAnswers = ({ needs }: Deployed): boolean => needs.includes('challenge')

/**
 * Whether a function counts, notes or compares where its requests come from, which the distribution of a stage tells it.
 * It then has the setting `EDGE_SECRET`. A function that only reads does nothing of the kind.
 */
export const seesCallers = ({ kind, needs, table }: Deployed): boolean =>
  kind === 'endpoint' && needs.includes('table') && table !== 'read'
