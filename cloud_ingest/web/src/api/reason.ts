// The reason why a call failed, in the reader's language.
import { text } from "../texts";
import { ApiError } from "./client";

export function reasonOf(problem: unknown): string {
  if (!(problem instanceof ApiError) || problem.status === 0) return text("error.network");
  if (problem.status === 404) return text("error.missing");
  if (problem.status === 409) return text("error.conflict");
  return text(problem.status >= 500 ? "error.server" : "error.refused", { code: problem.status });
}
