import { customerOf } from '../../core/cards/list.ts'
import { endpoint } from '../http/endpoint.ts'
import { api } from './routes.ts'

export const handler = endpoint(api.retrieve, async ({ caller }) => customerOf(caller.account))
