import * as z from 'zod/mini'
import type { Deps } from '../ports.ts'
import { addService, listServices, revokeService, type Service, ServiceRefusal } from './services.ts'

/** What the operator's command asks for. */
const commandSchema = z.discriminatedUnion('command', [
  z.object({ command: z.literal('service add'), name: z.string() }),
  z.object({ command: z.literal('service list') }),
  z.object({ command: z.literal('service revoke'), name: z.string() }),
])

export type ServiceCommand = z.infer<typeof commandSchema>

/** What became of a command. */
export interface CommandResult {
  done?: ServiceCommand['command']
  /** Why nothing was done, in words for the operator. */
  refused?: string
  service?: Service
  /** The text of a new credential. It cannot be read again. */
  credential?: string
  services?: Service[]
}

/**
 * Carries out a command of the operator.
 * @param event unchecked, as it was sent
 * @throws DomainError `temporarily_unavailable`
 */
export async function carryOut(deps: Deps<'table' | 'keyring'>, event: unknown): Promise<CommandResult> {
  const { success, data } = z.safeParse(commandSchema, event)
  if (!success) return { refused: 'There is no such command.' }
  const { command: done } = data
  try {
    if (done === 'service list') return { done, services: await listServices(deps) }
    if (done === 'service add') return { done, ...(await addService(deps, data.name)) }
    return { done, service: await revokeService(deps, data.name) }
  } catch (error) {
    if (error instanceof ServiceRefusal) return { refused: error.message }
    throw error
  }
}
