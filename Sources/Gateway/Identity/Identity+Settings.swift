internal import OpenStack

extension Identity {
    /// The identity that a token of the settings stands for.
    convenience init(_ token: Settings.StaticToken, adminRoles: [String]) {
        self.init(
            userID: token.user.id, userName: token.user.name, userDomainID: token.userDomain.id,
            userDomainName: token.userDomain.name, projectID: token.project.id,
            projectName: token.project.name,
            projectDomainID: token.projectDomain.id, projectDomainName: token.projectDomain.name,
            roles: token.roles,
            adminRoles: adminRoles, expiresAt: token.expiresAt)
    }
}
