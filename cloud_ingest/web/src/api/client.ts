// Calls of the HTTP API. Every failure is an ApiError whose message a person can read.
import type { Page } from "./types";

export class ApiError extends Error {
  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message);
  }
}

type Query = Record<string, string | number | string[] | undefined>;

function address(path: string, query: Query): string {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value === undefined) continue;
    for (const one of Array.isArray(value) ? value : [value]) parameters.append(name, String(one));
  }
  const text = parameters.toString();
  return `/api/v1${path}${text ? `?${text}` : ""}`;
}

async function answer<T>(request: Promise<Response>): Promise<T> {
  let response: Response;
  try {
    response = await request;
  } catch (error) {
    throw new ApiError(0, error instanceof Error ? error.message : String(error));
  }
  const body: unknown = await response.json().catch(() => null);
  if (!response.ok) {
    const problem = body as { detail?: string; title?: string } | null;
    throw new ApiError(
      response.status,
      problem?.detail || problem?.title || `HTTP ${response.status}`,
    );
  }
  return body as T;
}

export function get<T>(path: string, query: Query = {}): Promise<T> {
  return answer<T>(fetch(address(path, query)));
}

/** All pages of a list, at most `most` entries. */
export async function list<T>(path: string, query: Query = {}, most = 5000): Promise<T[]> {
  const items: T[] = [];
  let cursor: string | undefined;
  do {
    const page: Page<T> = await get<Page<T>>(path, { limit: 1000, ...query, cursor });
    items.push(...page.items);
    cursor = page.next ?? undefined;
  } while (cursor && items.length < most);
  return items;
}

/** A list's answer that must be read whatever its status (health answers 503 with its checks). */
export async function getAny<T>(path: string): Promise<T> {
  return (await (await fetch(address(path, {}))).json()) as T;
}

export function post<T>(path: string, body: unknown, user: string): Promise<T> {
  const headers: Record<string, string> = { "Content-Type": "application/json" };
  if (user) headers["X-Quantrac-User"] = encodeURIComponent(user);
  return answer<T>(
    fetch(address(path, {}), { method: "POST", headers, body: JSON.stringify(body) }),
  );
}
