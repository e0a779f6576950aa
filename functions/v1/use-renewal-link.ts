import { useRenewalLink } from '../../core/purchases/renewal-settings.ts'
import { endpoint } from '../http/endpoint.ts'
import { v1 } from './routes.ts'

const MESSAGES = {
  stopped: 'Auto-renewal is off',
  allowed: 'Auto-renewal goes on',
  'nothing held back': 'No renewal is held back by this link any more',
} as const

export const handler = endpoint(v1.useRenewalLink, async ({ body, deps }) => {
  return { message: MESSAGES[await useRenewalLink(deps, body.code)] }
})
