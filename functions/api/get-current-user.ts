import { emcpAccount } from '../../core/account/shapes.ts'
import { endpoint } from '../http/endpoint.ts'
import { api } from './routes.ts'

export const handler = endpoint(api.getCurrentUser, async ({ caller }) => emcpAccount(caller.account))
